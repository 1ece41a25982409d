export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Takes a constant message and its facts. Never gets prompts or answers. */
export interface Logger {
  debug(message: string, facts?: Readonly<Record<string, unknown>>): void;
  info(message: string, facts?: Readonly<Record<string, unknown>>): void;
  warn(message: string, facts?: Readonly<Record<string, unknown>>): void;
  error(message: string, facts?: Readonly<Record<string, unknown>>): void;
}

/** Returns a logger that writes one JSON object per line, for records of `level` and above. */
export function jsonLogger(level: LogLevel, serverName: string, write: (line: string) => void): Logger {
  const lowest = logLevels.indexOf(level);
  const at =
    (own: LogLevel) =>
    (message: string, facts?: Readonly<Record<string, unknown>>): void => {
      if (logLevels.indexOf(own) < lowest) return;
      write(
        `${JSON.stringify({ level: own, time: new Date().toISOString(), server: serverName, message, ...facts })}\n`,
      );
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
