import type { LogFields, Logger } from "@pointsman/core";
import { pino } from "pino";

export type LogLevel = "error" | "warn" | "info" | "debug";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Where lines go; standard error by default. */
  readonly destination?: { write(line: string): void };
}

/** Level of a verbosity as the Go picker counts it: up to 3 `info`, from 4 on `debug`. */
export function levelOfVerbosity(verbosity: number): LogLevel {
  return verbosity >= 4 ? "debug" : "info";
}

/** A logger that writes one JSON object per line with `level`, `ts` (seconds since the epoch) and `msg`. */
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
  return wrap(root);
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

function wrap(logger: PinoLike): Logger {
  return {
    error: (fields, message) => logger.error(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    info: (fields, message) => logger.info(fields, message),
    debug: (fields, message) => logger.debug(fields, message),
    isLevelEnabled: (level) => logger.isLevelEnabled(level),
    child: (fields: LogFields) => wrap(logger.child(fields)),
  };
}
