import { readFileSync } from "node:fs";
import type { Command } from "./commands.ts";
import { exitCode, print } from "./output.ts";

/** Version of this package. */
export function eppVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    readonly version: string;
  };
  return manifest.version;
}

export const versionCommand: Command = {
  async run() {
    print(`epp ${eppVersion()} (node ${process.versions.node})`);
    return exitCode.ok;
  },
};
