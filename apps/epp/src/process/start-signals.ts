const signals = ["SIGTERM", "SIGINT"] as const;
const end = (): void => process.exit(0);

/**
 * Ends the process with 0 at SIGTERM and SIGINT until somebody else takes them. The first process of a container is deaf
 * to signals that it does not ask for: without this one that is told to end while it loads would serve on, and be killed.
 */
export function endAtSignals(): void {
  for (const signal of signals) process.on(signal, end);
}

/** Undoes `endAtSignals`. */
export function leaveSignals(): void {
  for (const signal of signals) process.off(signal, end);
}
