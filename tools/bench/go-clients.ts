import { parts } from "../e2e/parts.ts";
import type { Running } from "../e2e/running.ts";
import type { BenchRun } from "./bench-case.ts";

/** A program that is there, or why it is not. */
export type Part = { readonly path: string } | { readonly missing: string };

function find(path: () => string): Part {
  try {
    return { path: path() };
  } catch (thrown: unknown) {
    return { missing: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

/** The grpc-go load client. */
export const findExtload = (): Part => find(parts.extload);
/** The grpc-go echo: the least that an ext_proc server in grpc-go can do. */
export const findExtecho = (): Part => find(parts.extecho);

/** One run of the load client against one server. */
export interface Load {
  readonly requests: number;
  readonly errors: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMsPerRequest: number;
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
    firstError,
  };
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
