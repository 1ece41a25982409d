import type { LogFields, Logger } from "@pointsman/core";

/** A logger that keeps nothing but warnings: one line for each in `lines`, with the plugin's name and the facts. */
export function pluginWarnings(lines: string[], bound: LogFields = {}): Logger {
  return {
    error: () => {},
    warn(fields, message) {
      const { plugin, pluginType, ...facts } = { ...bound, ...fields };
      const who = plugin === undefined ? "" : `plugin ${JSON.stringify(plugin)}: `;
      lines.push(`warning  ${who}${message}${Object.keys(facts).length === 0 ? "" : ` ${JSON.stringify(facts)}`}`);
    },
    info: () => {},
    debug: () => {},
    isLevelEnabled: (level) => level === "warn",
    child: (fields) => pluginWarnings(lines, { ...bound, ...fields }),
  };
}
