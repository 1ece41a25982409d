/**
 * Measures Pointsman on this machine and prints one table: `pnpm bench [--quick] [--only NAME[,NAME]] [--json FILE]`.
 * README.md in this folder says how to read it.
 */
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../workspace-packages.ts";
import { type BenchCase, type BenchRun, isGap, type Row } from "./bench-case.ts";
import { expectedLatencyCases } from "./cases/expected-latency.ts";
import { extProcCases } from "./cases/ext-proc.ts";
import { kubernetesCases } from "./cases/kubernetes.ts";
import { memoryCases } from "./cases/memory.ts";
import { openLoopCases } from "./cases/open-loop.ts";
import { pluginCases } from "./cases/plugins.ts";
import { prefixCacheCases } from "./cases/prefix-cache.ts";
import { scheduleCases } from "./cases/schedule.ts";
import { scrapeCases } from "./cases/scrape.ts";
import { sidecarCases } from "./cases/sidecar.ts";
import { stackCases } from "./cases/stack.ts";
import { ChildProcesses } from "./child-processes.ts";
import { commit, thisMachine } from "./machine.ts";
import { type Report, renderReport } from "./report.ts";

const allCases: readonly BenchCase[] = [
  ...extProcCases,
  ...stackCases,
  ...openLoopCases,
  ...scrapeCases,
  ...scheduleCases,
  ...pluginCases,
  ...prefixCacheCases,
  ...expectedLatencyCases,
  ...sidecarCases,
  ...memoryCases,
  ...kubernetesCases,
];
const exitCode = { ok: 0, failed: 1, badUsage: 2 } as const;

const usage = `pnpm bench [--quick] [--only NAME[,NAME]] [--json FILE]

  --quick   short measurements, to see that everything works
  --only    cases to run, by name or area
  --json    also write what was found to FILE, after each case

Cases: ${allCases.map(({ name }) => name).join(", ")}`;

interface Options {
  readonly quick: boolean;
  readonly cases: readonly BenchCase[];
  readonly jsonFile: string | undefined;
}

function readOptions(args: readonly string[]): Options | "help" | { readonly problem: string } {
  let values: { quick?: boolean; only?: string; json?: string; help?: boolean };
  try {
    ({ values } = parseArgs({
      args: args.filter((arg, i) => i > 0 || arg !== "--"),
      options: {
        quick: { type: "boolean" },
        only: { type: "string" },
        json: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    }));
  } catch (thrown: unknown) {
    return { problem: thrown instanceof Error ? thrown.message : String(thrown) };
  }
  if (values.help) return "help";
  const names = values.only?.split(",").map((name) => name.trim());
  const matches = (each: BenchCase, name: string): boolean => each.name === name || each.name.startsWith(`${name}/`);
  const unknown = names?.find((name) => !allCases.some((each) => matches(each, name)));
  if (unknown !== undefined) return { problem: `--only: there is no case or area ${JSON.stringify(unknown)}` };
  const jsonFile = values.json === undefined ? undefined : resolve(values.json);
  if (jsonFile !== undefined && !existsSync(dirname(jsonFile))) {
    return { problem: `--json: there is no folder ${dirname(jsonFile)}` };
  }
  return {
    quick: values.quick ?? false,
    cases: allCases.filter((each) => names === undefined || names.some((name) => matches(each, name))),
    jsonFile,
  };
}

function microBenches(): readonly string[] {
  return globSync("packages/**/bench/*.bench.ts", { cwd: root, exclude: ["**/node_modules/**"] })
    .sort()
    .map((file) => `node_modules/.bin/node --conditions=@pointsman/source ${file}`);
}

/** Runs cases one after the other. `save` gets all rows so far after each, so that a run that is cut short leaves them. */
async function runCases(
  cases: readonly BenchCase[],
  bench: BenchRun,
  save: (rows: readonly Row[]) => void,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const each of cases) {
    try {
      rows.push(...(await each.run(bench)));
    } catch (thrown: unknown) {
      const why = (thrown instanceof Error ? thrown.message : String(thrown)).replaceAll(/\s*\n\s*/g, " ");
      rows.push({ case: each.name, quantity: "all", kind: "failed", why });
      bench.progress(`${each.name} failed: ${thrown instanceof Error ? (thrown.stack ?? why) : why}`);
    } finally {
      await bench.children.stop();
    }
    save(rows);
  }
  return rows;
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const options = readOptions(args);
  if (options === "help") {
    console.log(usage);
    return exitCode.ok;
  }
  if ("problem" in options) {
    console.error(`bench: ${options.problem}\n\n${usage}`);
    return exitCode.badUsage;
  }
  const directory = mkdtempSync(join(tmpdir(), "pointsman-bench-"));
  const children = new ChildProcesses();
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  // Ending the process kills its children; without a handler, a signal would leave them behind.
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  process.once("SIGHUP", () => process.exit(129));

  const machine = thisMachine();
  const startedAt = new Date().toISOString();
  const commitAtStart = commit();
  const report = (rows: readonly Row[]): Report => ({
    command: ["pnpm bench", ...args].join(" "),
    startedAt,
    commit: commitAtStart,
    machine,
    quick: options.quick,
    rows,
    microBenches: microBenches(),
  });
  const rows = await runCases(
    options.cases,
    {
      quick: options.quick,
      children,
      directory,
      progress: (text) => console.error(text),
    },
    (soFar) => {
      const { jsonFile } = options;
      if (jsonFile !== undefined) writeFileSync(jsonFile, `${JSON.stringify(report(soFar), undefined, 2)}\n`);
    },
  );
  console.log(renderReport(report(rows), options.cases));
  return rows.some((row) => isGap(row) && row.kind === "failed") ? exitCode.failed : exitCode.ok;
}

// Whatever a library still holds open must not keep a finished run from ending.
process.exit(await main());
