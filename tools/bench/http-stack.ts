/** Proxies in front of the same fake model servers, and the load client that drives them over HTTP. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { parts } from "../e2e/parts.ts";
import { freePort } from "../e2e/running.ts";
import type { BenchRun } from "./bench-case.ts";
import { type EppUnderTest, startEpp } from "./epp-under-test.ts";
import { cpuMs, sleep } from "./process-usage.ts";
import { findProgram, type Part } from "./programs.ts";

export const findHttpload = (): Part => findProgram("POINTSMAN_HTTPLOAD", "the HTTP load client");
export const findEnvoy = (): Part => findProgram("POINTSMAN_ENVOY", "Envoy");
export const findSglangRouter = (): Part => findProgram("POINTSMAN_SGLANG_ROUTER", "sglang-router");

const servers = 4;
const startMs = 30_000;

/** Something that takes requests at a URL, with every process of it. */
export interface ProxyUnderTest {
  readonly url: string;
  readonly processes: readonly { readonly name: string; readonly pid: number }[];
}

/** The load client's own model servers, in a process of their own. */
export interface ModelServers {
  readonly ports: readonly number[];
  /** Lists the servers for a file-discovery plugin. */
  readonly endpointsFile: string;
}

export async function startModelServers(bench: BenchRun, httpload: string, chunks: number): Promise<ModelServers> {
  const first = await freePorts(servers);
  const flags = ["-serve-only", "-n", String(servers), "-base", String(first), "-chunks", String(chunks)];
  const running = bench.children.program("httpload -serve-only", httpload, flags);
  const ports = Array.from({ length: servers }, (_, i) => first + i);
  const ended = running.exited.then((code): never => {
    throw new Error(`the model servers ended with code ${code}: ${running.lines.join(" ")}`);
  });
  await Promise.race([Promise.all(ports.map(untilOpen)), ended]);
  ended.catch(() => {});
  const endpointsFile = join(bench.directory, `model-servers-${first}.yaml`);
  const entries = ports.map((port, i) => `  - {name: server-${i}, address: 127.0.0.1, port: "${port}"}\n`);
  writeFileSync(endpointsFile, `endpoints:\n${entries.join("")}`);
  return { ports, endpointsFile };
}

/** The picker with its built-in proxy. */
export async function startBuiltInProxy(bench: BenchRun, endpointsFile: string): Promise<ProxyUnderTest> {
  const epp = await startEpp(bench, endpointsFile, { flags: ["--http-proxy-port=0"] });
  return { url: `http://127.0.0.1:${epp.httpProxyPort}`, processes: [{ name: "EPP", pid: epp.pid }] };
}

/**
 * The picker behind an Envoy, of one worker thread, with the bootstrap that the picker prints for it. They speak over TCP,
 * or over a Unix socket as in one pod.
 */
export async function startEnvoyAndEpp(
  bench: BenchRun,
  envoy: string,
  endpointsFile: string,
  over: "tcp" | "unix-socket",
): Promise<ProxyUnderTest> {
  const [listen, admin] = [await freePort(), await freePort()];
  const socket = join(bench.directory, `ext-proc-${listen}.sock`);
  const overTcp = over === "tcp";
  const epp: EppUnderTest = await startEpp(bench, endpointsFile, {
    flags: overTcp ? [] : [`--ext-proc-socket=${socket}`],
  });
  const bootstrap = execFileSync(parts.epp, [
    ...["envoy-config", "--listen-port", String(listen), "--admin-port", String(admin)],
    ...(overTcp ? ["--grpc-port", String(epp.extProcPort), "--secure-serving=false"] : ["--ext-proc-socket", socket]),
  ]);
  const file = join(bench.directory, `envoy-${listen}.yaml`);
  writeFileSync(file, bootstrap);
  const flags = ["-c", file, "--concurrency", "1", "--base-id", String(admin), "--log-level", "error"];
  const running = bench.children.program("envoy", envoy, flags);
  await untilOk(`http://127.0.0.1:${admin}/ready`);
  return {
    url: `http://127.0.0.1:${listen}`,
    processes: [
      { name: "Envoy", pid: running.pid },
      { name: "EPP", pid: epp.pid },
    ],
  };
}

/** sglang-router with its default policy, which keeps a tree of the prefixes each server has seen. */
export async function startSglangRouter(
  bench: BenchRun,
  router: string,
  ports: readonly number[],
): Promise<ProxyUnderTest> {
  const [listen, metrics] = [await freePort(), await freePort()];
  const running = bench.children.program("sglang-router", router, [
    ...["launch", "--host", "127.0.0.1", "--port", String(listen), "--log-level", "error"],
    ...["--prometheus-host", "127.0.0.1", "--prometheus-port", String(metrics)],
    ...["--worker-urls", ...ports.map((port) => `http://127.0.0.1:${port}`)],
  ]);
  const url = `http://127.0.0.1:${listen}`;
  // It answers once it has found out what its workers are.
  await untilOk(`${url}/v1/models`);
  return { url, processes: [{ name: "sglang-router", pid: running.pid }] };
}

/** One run of the load client against one proxy. */
export interface HttpLoad {
  readonly requestsPerSecond: number;
  readonly errors: number;
  readonly firstByteP50Ms: number;
  readonly firstByteP99Ms: number;
  /** Of all processes together. */
  readonly cpuMsPerRequest: number;
  /** What each process has of it, from the whole run, warm-up included. */
  readonly shares: readonly number[];
  readonly firstError: string;
}

/** Runs the load client; its flags are those of `httpload -help`. Rejects if it gives no figures or did no request. */
export async function httpLoad(
  bench: BenchRun,
  httpload: string,
  proxy: ProxyUnderTest,
  time: { readonly warmMs: number; readonly measuredMs: number },
  flags: readonly string[],
): Promise<HttpLoad> {
  const pids = proxy.processes.map(({ pid }) => pid);
  const before = pids.map(cpuMs);
  const output = await bench.children.run(httpload, [
    ...["-no-serve", "-url", proxy.url, "-pid", pids.join(",")],
    ...["-warm", `${time.warmMs}ms`, "-d", `${time.measuredMs}ms`],
    ...flags,
  ]);
  const used = pids.map((pid, i) => cpuMs(pid) - before[i]!);
  const usedMs = used.reduce((sum, each) => sum + each, 0);
  const found = readHttpLoad(output.stdout);
  if (found === undefined) throw new Error(`httpload ended with code ${output.code}: ${output.stderr.slice(0, 500)}`);
  const firstError = output.stderr.trim().split("\n")[0] ?? "";
  if (found.requests === 0) throw new Error(`no request succeeded in ${time.measuredMs} ms. ${firstError}`);
  return { ...found, shares: used.map((each) => each / Math.max(1, usedMs)), firstError };
}

/** The figures in what the load client prints; `undefined` where it prints none. */
export function readHttpLoad(
  text: string,
): (Omit<HttpLoad, "shares" | "firstError"> & { readonly requests: number }) | undefined {
  const found =
    /^requests (\d+) errors (\d+) +rps ([\d.]+) +first byte p50 ([\d.]+) p99 ([\d.]+) ms .*proxy cpu\/req ([\d.]+) ms/m.exec(
      text,
    );
  if (found === null) return undefined;
  const [requests, errors, requestsPerSecond, firstByteP50Ms, firstByteP99Ms, cpuMsPerRequest] = found
    .slice(1)
    .map(Number);
  return {
    requests: requests!,
    errors: errors!,
    requestsPerSecond: requestsPerSecond!,
    firstByteP50Ms: firstByteP50Ms!,
    firstByteP99Ms: firstByteP99Ms!,
    cpuMsPerRequest: cpuMsPerRequest!,
  };
}

/** The first of `count` ports in a row that were free a moment ago, below those that the system gives out itself. */
async function freePorts(count: number): Promise<number> {
  for (let first = 20_000 + (process.pid % 1000) * 10; first < 32_000; first += count) {
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(first + i)));
    if (free.every((each) => each)) return first;
  }
  throw new Error(`there are no ${count} free ports in a row below 32000`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

function untilOpen(port: number): Promise<void> {
  return until(
    `127.0.0.1:${port} accepts connections`,
    () =>
      new Promise((resolve) => {
        const socket = connect(port, "127.0.0.1");
        socket.once("connect", () => {
          socket.destroy();
          resolve(true);
        });
        socket.once("error", () => resolve(false));
      }),
  );
}

function untilOk(url: string): Promise<void> {
  return until(`${url} answers with 200`, async () => {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
      await answer.arrayBuffer();
      return answer.ok;
    } catch {
      return false;
    }
  });
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + startMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`waited ${startMs} ms in vain until ${what}`);
    await sleep(100);
  }
}
