import type { Running } from "../e2e/running.ts";
import type { BenchRun, Row } from "./bench-case.ts";
import { jitWarmMs } from "./epp-under-test.ts";
import { findProgram, type Part } from "./programs.ts";

/** The grpc-go load client. */
export const findExtload = (): Part => findProgram("POINTSMAN_EXTLOAD", "the ext_proc load client");
/** The grpc-go echo: the least that an ext_proc server in grpc-go can do. */
export const findExtecho = (): Part => findProgram("POINTSMAN_EXTECHO", "the grpc-go echo");

/** One run of the load client against one server. */
export interface Load {
  readonly requests: number;
  readonly errors: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMsPerRequest: number;
  /** CPU time of the server by time. */
  readonly cores: number;
  readonly firstError: string;
}

/** Runs the load client; its flags are those of `extload -help`. Rejects if it gives no figures or did no request. */
export async function load(
  bench: BenchRun,
  extload: string,
  target: { readonly port: number; readonly pid: number },
  time: { readonly warmMs: number; readonly measuredMs: number },
  flags: readonly string[],
): Promise<Load> {
  const output = await bench.children.run(extload, [
    ...["-addr", `127.0.0.1:${target.port}`, "-pid", String(target.pid), "-json"],
    ...["-warm", `${time.warmMs}ms`, "-d", `${time.measuredMs}ms`],
    ...flags,
  ]);
  const line = output.stdout.split("\n").find((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`extload ended with code ${output.code}: ${output.stderr.slice(0, 500)}`);
  const found = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const value = (name: string): number => {
    const number = found[name];
    if (typeof number !== "number") throw new Error(`extload gives no number "${name}": ${line}`);
    return number;
  };
  const firstError = output.stderr.trim().split("\n")[0] ?? "";
  if (value("requests") === 0) throw new Error(`no request succeeded in ${time.measuredMs} ms. ${firstError}`);
  return {
    requests: value("requests"),
    errors: value("errors"),
    requestsPerSecond: value("rps"),
    p50Ms: value("p50_ms"),
    p99Ms: value("p99_ms"),
    cpuMsPerRequest: value("server_cpu_ms_per_req"),
    cores: value("server_cores"),
    firstError,
  };
}

/** Gives a fresh server its first load, of which nothing is kept. */
export async function warmUp(
  bench: BenchRun,
  extload: string,
  target: { readonly port: number; readonly pid: number },
  flags: readonly string[],
): Promise<void> {
  await load(bench, extload, target, { warmMs: 0, measuredMs: jitWarmMs }, flags);
}

/** A row if requests failed, with the first error. */
export function errorRows(name: string, who: string, loads: readonly Load[]): Row[] {
  const errors = loads.reduce((sum, each) => sum + each.errors, 0);
  if (errors === 0) return [];
  const first = loads.find((each) => each.errors > 0)?.firstError ?? "";
  return [{ case: name, quantity: `${who}: errors`, kind: "failed", why: `${errors} requests failed. ${first}` }];
}

/** Starts the echo on a free port. */
export async function startExtecho(
  bench: BenchRun,
  extecho: string,
): Promise<{ readonly running: Running; readonly pid: number; readonly port: number }> {
  const running = bench.children.program("extecho", extecho, ["-addr", "127.0.0.1:0"]);
  const line = await running.line((text) => text.startsWith("ready "));
  return { running, pid: running.pid, port: Number(line.slice(line.lastIndexOf(":") + 1)) };
}
