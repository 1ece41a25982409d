import type { LogFields, Logger } from "@pointsman/core";
import { pino } from "pino";
import { LineSampler } from "./line-sampler.ts";

export type LogLevel = "silent" | "error" | "warn" | "info" | "debug";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Where lines go; standard error by default. */
  readonly destination?: { write(line: string): void };
  /** Monotonic milliseconds; the process's by default. */
  readonly now?: () => number;
  /** Hears of lines that the sampling leaves out. */
  onDropped?(level: LogLevel): void;
}

/** Level of a verbosity as the Go picker counts it: up to 3 `info`, from 4 on `debug`. */
export function levelOfVerbosity(verbosity: number): LogLevel {
  return verbosity >= 4 ? "debug" : "info";
}

/**
 * A logger that writes one JSON object per line with `level`, `ts` (seconds since the epoch) and `msg`; errors carry a
 * `stacktrace`, lines of a request its id as `x-request-id`.
 *
 * Of equal messages the first 100 of a second are written, then every hundredth; `debug` lines all. A logger and its
 * children count together.
 */
export function createLogger(options: LoggerOptions): Logger {
  const root = pino(
    {
      level: options.level,
      base: null,
      messageKey: "msg",
      timestamp: () => `,"ts":${(Date.now() / 1000).toFixed(3)}`,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  );
  const sampler = new LineSampler(options.now ?? (() => performance.now()));
  return new PinoLogger(root, sampler, options.onDropped ?? (() => {}));
}

/** The part of a pino logger that is used; its own type does not fit itself under exact optional properties. */
interface PinoLike {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  isLevelEnabled(level: string): boolean;
  child(fields: LogFields): PinoLike;
}

class PinoLogger implements Logger {
  readonly #pino: PinoLike;
  readonly #sampler: LineSampler;
  readonly #dropped: (level: LogLevel) => void;

  constructor(pinoLogger: PinoLike, sampler: LineSampler, dropped: (level: LogLevel) => void) {
    this.#pino = pinoLogger;
    this.#sampler = sampler;
    this.#dropped = dropped;
  }

  error(fields: LogFields, message: string): void {
    if (this.#wanted("error", message)) this.#pino.error(withStack(wireFields(fields)), message);
  }

  warn(fields: LogFields, message: string): void {
    if (this.#wanted("warn", message)) this.#pino.warn(wireFields(fields), message);
  }

  info(fields: LogFields, message: string): void {
    if (this.#wanted("info", message)) this.#pino.info(wireFields(fields), message);
  }

  debug(fields: LogFields, message: string): void {
    this.#pino.debug(wireFields(fields), message);
  }

  isLevelEnabled(level: "error" | "warn" | "info" | "debug"): boolean {
    return this.#pino.isLevelEnabled(level);
  }

  child(fields: LogFields): Logger {
    return new PinoLogger(this.#pino.child(wireFields(fields)), this.#sampler, this.#dropped);
  }

  #wanted(level: "error" | "warn" | "info", message: string): boolean {
    if (!this.#pino.isLevelEnabled(level)) return false;
    if (this.#sampler.wants(level, message)) return true;
    this.#dropped(level);
    return false;
  }
}

/** The id of a request stands under its header's name. */
function wireFields(fields: LogFields): LogFields {
  if (fields["requestId"] === undefined) return fields;
  const { requestId, ...rest } = fields;
  return { "x-request-id": requestId, ...rest };
}

/** The stack of what was thrown where one is given, else that of the log call. */
function withStack(fields: LogFields): LogFields {
  const { stack, ...rest } = fields;
  if (typeof stack === "string") return { ...rest, stacktrace: stack };
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, PinoLogger.prototype.error);
  // The first line is a heading without a message.
  return { ...rest, stacktrace: here.stack?.replace(/^[^\n]*\n/, "").replace(/^ +/gm, "") };
}
