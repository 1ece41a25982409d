import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { flagTable } from "../../apps/epp/src/flags/flag-table.ts";
import { parts } from "../e2e/parts.ts";
import type { Running } from "../e2e/running.ts";
import { baselineConfig } from "./baseline-config.ts";
import type { BenchRun } from "./bench-case.ts";

/** How often each endpoint is scraped, where a case says nothing else. */
export const scrapeIntervalMs = 50;

/**
 * A fresh process spends a good part of its first seconds of load on compiling what is hot: functions that run once a
 * request get V8's optimising compiler after some hundreds of requests. It gets this much of the load it will be measured
 * under, before the first round, also with `--quick`.
 */
export const jitWarmMs = 15_000;

const pollErrors = "llm_d_epp_datalayer_poll_errors_total";

/** Every transport that the picker's ext_proc port can run on. */
export function extProcTransports(): readonly string[] {
  const flag = flagTable.find(({ name }) => name === "ext-proc-transport");
  if (flag?.oneOf === undefined) throw new Error("apps/epp has no flag ext-proc-transport with a list of values");
  return flag.oneOf;
}

/** The picker as a user starts it, with the baseline plugins. */
export interface EppUnderTest {
  readonly running: Running;
  readonly pid: number;
  readonly extProcPort: number;
  /** `undefined` unless a flag asks for the built-in proxy. */
  readonly httpProxyPort: number | undefined;
  /** Polls of endpoints that failed so far. Reads the metrics page, which costs the picker some time. */
  failedPolls(): Promise<number>;
}

/** Starts the picker and waits until it is ready. Without `transport`, on the default one. */
export async function startEpp(
  bench: BenchRun,
  endpointsFile: string,
  options: {
    readonly transport?: string;
    readonly scrapeIntervalMs?: number;
    readonly flags?: readonly string[];
  } = {},
): Promise<EppUnderTest> {
  const { transport, flags = [] } = options;
  const configFile = join(bench.directory, "epp.yaml");
  writeFileSync(configFile, baselineConfig({ endpointsFile }));
  const running = bench.children.program("epp", parts.epp, [
    "serve",
    ...["--bind-address=127.0.0.1", "--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"],
    "--secure-serving=false",
    `--refresh-metrics-interval=${options.scrapeIntervalMs ?? scrapeIntervalMs}ms`,
    `--config-file=${configFile}`,
    ...(transport === undefined ? [] : [`--ext-proc-transport=${transport}`]),
    ...flags,
  ]);
  const ready = await running.json((value) => value["msg"] === "ready");
  return {
    running,
    pid: running.pid,
    extProcPort: Number(ready["extProc"]),
    httpProxyPort: ready["proxy"] === undefined ? undefined : Number(ready["proxy"]),
    async failedPolls() {
      const page = await (await fetch(`http://127.0.0.1:${Number(ready["metrics"])}/metrics`)).text();
      if (!page.includes(`# TYPE ${pollErrors} counter`)) throw new Error(`the picker has no metric ${pollErrors}`);
      const samples = page.matchAll(new RegExp(`^${pollErrors}(?:\\{.*\\})? (\\S+)$`, "gm"));
      return Array.from(samples, ([, value]) => Number(value)).reduce((sum, value) => sum + value, 0);
    },
  };
}
