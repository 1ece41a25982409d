import { formatProblem, printEffective } from "@pointsman/config";
import { noMetrics, silentLogger } from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { flagTable } from "../flags/flag-table.ts";
import { parseFlags } from "../flags/parse-flags.ts";
import { minRefreshMs } from "../flags/serve-options.ts";
import { loadGraph } from "../process/load-graph.ts";
import type { Command } from "./commands.ts";
import { describeWork } from "./describe-work.ts";
import { complain, exitCode, print } from "./output.ts";
import { pluginWarnings } from "./plugin-warnings.ts";

/** Flags of a start that change what a configuration means. */
const startFlags: ReadonlySet<string> = new Set([
  "allow-experimental-plugins",
  "config-text",
  "refresh-metrics-interval",
  "request-metrics",
]);

const checkFlags = [
  ...flagTable.filter(({ name }) => startFlags.has(name)),
  { name: "print", kind: "boolean", default: "false", help: "Print the effective configuration, defaults included." },
  { name: "json", kind: "boolean", default: "false", help: "Print the problems as JSON." },
] as const;

export const checkCommand: Command = {
  flags: checkFlags,
  async run(args) {
    const flags = parseFlags(args, checkFlags);
    if ("problems" in flags) {
      for (const problem of flags.problems) complain(`epp check: ${problem}`);
      return exitCode.badInput;
    }
    const configText = String(flags.values.get("config-text"));
    if (configText === "" && flags.positional.length !== 1) {
      complain("epp check: give one configuration file, for example: epp check epp.yaml --print");
      return exitCode.badInput;
    }
    if (configText !== "" && flags.positional.length > 0) {
      complain("epp check: a configuration file and --config-text exclude each other; give one");
      return exitCode.badInput;
    }
    const asJson = flags.values.get("json") === true;
    const printed = flags.values.get("print") === true;
    if (asJson && printed) {
      complain("epp check: --print and --json exclude each other; give one");
      return exitCode.badInput;
    }
    const warnings: string[] = [];
    const loaded = await loadGraph(
      { configFile: flags.positional[0] ?? "", configText, endpointsFile: "" },
      {
        allowExperimental: flags.values.get("allow-experimental-plugins") === true,
        stalenessMs: 2000,
        logger: pluginWarnings(warnings),
        metrics: noMetrics,
        datastore: new Datastore({
          pool: { name: "check", namespace: "default", appProtocol: undefined },
          logger: silentLogger,
        }),
      },
    );
    if ("unreadable" in loaded) {
      complain(`epp check: ${loaded.unreadable.replace(/^--config-file: /, "")}`);
      return exitCode.badInput;
    }
    const { problems, effective, graph } = loaded;
    const warned = warnings.slice();
    await graph?.dispose();
    if (asJson) print(JSON.stringify(problems, null, 2));
    for (const line of asJson ? warned : [...problems.map(formatProblem), ...warned]) complain(line);
    const errors = problems.filter((problem) => problem.severity === "error").length;
    if (printed && effective !== undefined && errors === 0) print(printEffective(effective));
    if (!asJson) {
      if (graph !== undefined && effective !== undefined) {
        const lines = await describeWork(graph, effective, {
          refreshMetricsIntervalMs: Math.max(minRefreshMs, Number(flags.values.get("refresh-metrics-interval"))),
          requestMetrics: flags.values.get("request-metrics") === true,
        });
        for (const line of lines) complain(line);
      }
      const counted = `${count(errors, "error")}, ${count(problems.length - errors + warned.length, "warning")}`;
      complain(errors === 0 ? `ok (${counted})` : counted);
    }
    return errors === 0 ? exitCode.ok : exitCode.badInput;
  },
};

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
