import { checkCommand } from "./check.ts";
import { demoCommand } from "./demo.ts";
import { envoyConfigCommand } from "./envoy-config.ts";
import { explainCommand } from "./explain.ts";
import { helpCommand } from "./help.ts";
import { pluginsCommand } from "./plugins.ts";
import { schemaCommand } from "./schema.ts";
import { serveCommand } from "./serve.ts";
import { versionCommand } from "./version.ts";

/** A command of the program. */
export interface Command {
  readonly summary: string;
  /** Runs with the arguments after the command's name; resolves to the exit code. */
  run(args: readonly string[]): Promise<number>;
}

/** By name. */
export const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ["serve", serveCommand],
  ["check", checkCommand],
  ["explain", explainCommand],
  ["envoy-config", envoyConfigCommand],
  ["plugins", pluginsCommand],
  ["schema", schemaCommand],
  ["demo", demoCommand],
  ["help", helpCommand],
  ["--help", helpCommand],
  ["-h", helpCommand],
  ["version", versionCommand],
  ["--version", versionCommand],
]);
