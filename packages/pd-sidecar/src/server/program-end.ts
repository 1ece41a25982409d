import { errorText, type Logger } from "@pointsman/core";

/** A server that a program runs until a signal comes. */
export interface StoppableServer {
  /** Requests that are not answered completely. */
  readonly openRequests: number;
  /** Lets open requests finish for `graceMs`, then cuts them. Returns how many were cut. */
  stop(graceMs: number): Promise<number>;
}

/** Logs a failure that nothing caught; requests in flight go on. */
export function guardProcess(logger: Logger): void {
  const log = (thrown: unknown): void => {
    logger.error({ problem: errorText(thrown), stack: thrown instanceof Error ? thrown.stack : undefined }, "uncaught");
  };
  process.on("uncaughtException", log);
  process.on("unhandledRejection", log);
}

/** Resolves with the first SIGTERM or SIGINT; a second one ends the process at once. */
export function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let signals = 0;
    const got = (signal: NodeJS.Signals): void => {
      if (++signals > 1) process.exit(1);
      resolve(signal);
    };
    process.on("SIGTERM", got);
    process.on("SIGINT", got);
  });
}

/** Stops the server when the signal has come. Resolves with the exit code: 1 when requests had to be cut. */
export async function stopOnSignal(
  server: StoppableServer,
  stopped: Promise<NodeJS.Signals>,
  graceMs: number,
  logger: Logger,
): Promise<0 | 1> {
  const signal = await stopped;
  logger.info({ signal, openRequests: server.openRequests }, "shutting down");
  const cut = await server.stop(graceMs);
  if (cut > 0) logger.warn({ requests: cut }, "requests were cut: they did not end in time");
  logger.info({}, "stopped");
  return cut > 0 ? 1 : 0;
}
