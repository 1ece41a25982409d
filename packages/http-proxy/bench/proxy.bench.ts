/**
 * CPU time of the proxy process per request, of this package and of two proxies that only forward, in one run.
 * Model servers and clients are other processes; the proxies take turns over several rounds.
 * Run: node --conditions=@pointsman/source packages/http-proxy/bench/proxy.bench.ts [part of a case name]
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

interface BenchCase {
  readonly name: string;
  readonly path: string;
  readonly bodyBytes: number;
  readonly connections: number;
  readonly durationMs: number;
}

const cases: readonly BenchCase[] = [
  { name: "small-json", path: "/v1/chat/completions", bodyBytes: 1200, connections: 16, durationMs: 3000 },
  {
    name: "stream-1000-burst",
    path: "/v1/chat/completions?stream",
    bodyBytes: 40_000,
    connections: 8,
    durationMs: 3000,
  },
  {
    name: "stream-1000-paced",
    path: "/v1/chat/completions?stream&paced",
    bodyBytes: 40_000,
    connections: 8,
    durationMs: 4500,
  },
  { name: "prompt-430k", path: "/v1/chat/completions", bodyBytes: 430_000, connections: 8, durationMs: 3000 },
];
const kinds = ["http", "undici", "pointsman"] as const;
const rounds = 3;

const children: ChildProcess[] = [];

function start(file: string, args: readonly string[]): ChildProcess {
  const child = fork(new URL(file, import.meta.url), [...args], { execArgv: ["--conditions=@pointsman/source"] });
  children.push(child);
  return child;
}

async function message<T>(child: ChildProcess): Promise<T> {
  const [value] = await once(child, "message");
  return value as T; // Both ends are files of this folder.
}

async function cpuMs(proxy: ChildProcess): Promise<number> {
  const answer = message<NodeJS.CpuUsage>(proxy);
  proxy.send("cpu");
  const { user, system } = await answer;
  return (user + system) / 1000;
}

async function cpuMsPerRequest(
  proxy: ChildProcess,
  port: number,
  bench: BenchCase,
  durationMs: number,
): Promise<number> {
  const before = await cpuMs(proxy);
  const load = start("./load.ts", [
    String(port),
    bench.path,
    String(bench.bodyBytes),
    String(bench.connections),
    String(durationMs),
  ]);
  const { done, failed } = await message<{ done: number; failed: number }>(load);
  if (failed > 0 || done === 0) throw new Error(`${bench.name}: ${done} requests done, ${failed} connections failed`);
  return ((await cpuMs(proxy)) - before) / done;
}

const filter = process.argv[2] ?? "";
try {
  const backendPorts = await message<number[]>(start("./model-server.ts", []));
  const proxies = await Promise.all(
    kinds.map(async (kind) => {
      const child = start("./serve.ts", [kind, "0", ...backendPorts.map(String)]);
      return { kind, child, port: (await message<{ port: number }>(child)).port };
    }),
  );
  for (const bench of cases.filter(({ name }) => name.includes(filter))) {
    for (const { child, port } of proxies) await cpuMsPerRequest(child, port, bench, 1000);
    const figures = new Map<string, number[]>(kinds.map((kind) => [kind, []]));
    for (let round = 0; round < rounds; round++) {
      for (const { kind, child, port } of proxies) {
        figures.get(kind)!.push(await cpuMsPerRequest(child, port, bench, bench.durationMs));
      }
    }
    const medians = kinds.map((kind) => figures.get(kind)!.sort((a, b) => a - b)[Math.floor(rounds / 2)]!);
    const own = medians.at(-1)!;
    console.log(
      `${bench.name.padEnd(18)} ${kinds.map((kind, i) => `${kind} ${medians[i]!.toFixed(3)} ms`).join("  ")}  pointsman/http ${(own / medians[0]!).toFixed(2)}  pointsman/undici ${(own / medians[1]!).toFixed(2)}`,
    );
  }
} finally {
  for (const child of children) child.kill();
}
