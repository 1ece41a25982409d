/** Facts that accompany a log line. Values must be bounded; never prompts, tokens or headers that carry secrets. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Structured logger: a constant message plus fields.
 *
 * `info` is for changes of state and one line per rejected request, `debug` for decisions.
 */
export interface Logger {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  /** Tells whether a level is written, to guard fields that cost something to compute. */
  isLevelEnabled(level: "error" | "warn" | "info" | "debug"): boolean;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger;
}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  isLevelEnabled: () => false,
  child: () => silentLogger,
};
