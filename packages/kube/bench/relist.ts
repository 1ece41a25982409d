/**
 * How long a full list of 1,000 real-sized pods holds the event loop up: parsed as a whole, and taken in by a watch.
 *
 * Other work on the machine makes times longer; the least of several is nearest to what the work takes. With the flags that
 * a picker's V8 runs with:
 *
 *   node --max-semi-space-size=16 --external-memory-accounted-in-global-limit --concurrent-marking-max-worker-num=1 \
 *     --heap-growing-percent=300 --conditions=@pointsman/source packages/kube/bench/relist.ts [pods]
 */
import { createServer, Agent as TlsAgent } from "node:https";
import type { AddressInfo } from "node:net";
import { PerformanceObserver } from "node:perf_hooks";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { noMetrics, silentLogger, systemClock } from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { generate } from "selfsigned";
import { ApiClient, KubernetesPool } from "../src/index.ts";
import { realTimers } from "../test/real-timers.ts";
import { realPod } from "./real-pod.ts";

const pods = Number(process.argv[2] ?? 1000);

interface ServerData {
  readonly cert: string;
  readonly key: string;
  readonly pods: number;
}

/** Serves lists in a thread of its own, so that its work does not show in the figures. */
function serve({ cert, key, pods: count }: ServerData): void {
  let version = 1;
  const list = (): Buffer => {
    version += 10_000;
    const items = Array.from({ length: count }, (_, i) => realPod(i, version + i));
    return Buffer.from(
      JSON.stringify({ kind: "PodList", apiVersion: "v1", metadata: { resourceVersion: String(version) }, items }),
    );
  };
  const lists = Array.from({ length: 6 }, list);
  let served = 0;
  const server = createServer({ cert, key }, (request, response) => {
    if ((request.url ?? "").includes("watch=true")) {
      response.writeHead(200);
      response.flushHeaders();
      // Cut off after a while: a list follows each time.
      setTimeout(() => response.destroy(), 300);
      return;
    }
    response.end(lists[served++ % lists.length]);
  });
  server.listen(0, "127.0.0.1", () =>
    parentPort?.postMessage({ port: (server.address() as AddressInfo).port, bytes: lists[0]!.length }),
  );
}

/** The clock of CPU time moves in steps of up to this. */
const cpuStepMs = 4;

/**
 * Turns of the event loop that did something, list by list, and collections of garbage. A turn takes no more CPU time than
 * the time that passed, nor than the clock of CPU time says and one step of it: the smaller one counts.
 */
class Turns {
  readonly #lists: { longestMs: number; busyMs: number }[] = [];
  readonly #collectionsMs: number[] = [];
  readonly #observer: PerformanceObserver;
  #running = true;

  /** `lists`: lists so far. */
  constructor(lists: () => number) {
    this.#observer = new PerformanceObserver((entries) => {
      for (const { duration } of entries.getEntries()) this.#collectionsMs.push(duration);
    });
    this.#observer.observe({ entryTypes: ["gc"] });
    const first = lists();
    let lastMs = performance.now();
    let lastCpuMs = cpuMs();
    const turn = (): void => {
      const nowMs = performance.now();
      const ms = nowMs - lastMs;
      lastMs = nowMs;
      if (ms > 0.02) {
        const nowCpuMs = cpuMs();
        const usedMs = nowCpuMs - lastCpuMs;
        lastCpuMs = nowCpuMs;
        const list = lists() - first;
        this.#lists[list] ??= { longestMs: 0, busyMs: 0 };
        const counted = this.#lists[list];
        counted.longestMs = Math.max(counted.longestMs, Math.min(ms, usedMs + cpuStepMs));
        // Over a whole list the steps cancel out.
        counted.busyMs += usedMs;
      }
      if (this.#running) setImmediate(turn);
    };
    setImmediate(turn);
  }

  async stop(): Promise<{
    readonly longestMs: readonly number[];
    readonly busyMs: readonly number[];
    readonly collectionsMs: readonly number[];
  }> {
    this.#running = false;
    // What was collected last is told in a turn of its own.
    await new Promise((resolve) => setTimeout(resolve, 50));
    this.#observer.disconnect();
    const lists = this.#lists.filter((list) => list !== undefined);
    return {
      longestMs: lists.map((list) => list.longestMs),
      busyMs: lists.map((list) => list.busyMs),
      collectionsMs: this.#collectionsMs,
    };
  }
}

/** The least, the median and the highest of some times. */
function spread(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1);
  return `${at(0)} to ${at(1)} ms, median ${at(0.5)}`;
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

async function main(): Promise<void> {
  const { cert, private: key } = await generate([{ name: "commonName", value: "bench" }], { keyType: "ec" });
  const worker = new Worker(new URL(import.meta.url), { workerData: { cert, key, pods } satisfies ServerData });
  const { port, bytes } = await new Promise<{ port: number; bytes: number }>((resolve) =>
    worker.once("message", resolve),
  );
  console.log(`${pods} pods, ${(bytes / 1e6).toFixed(1)} MB (${(bytes / pods / 1000).toFixed(1)} KB each)`);

  const text = JSON.stringify({ items: Array.from({ length: pods }, (_, i) => realPod(i, i)) });
  const whole: number[] = [];
  for (let i = 0; i < 5; i++) {
    const startedAtMs = cpuMs();
    JSON.parse(text);
    whole.push(cpuMs() - startedAtMs);
  }
  console.log(`JSON.parse of the whole: ${whole.map((ms) => ms.toFixed(0)).join(", ")} ms of CPU in one piece`);
  global.gc?.();

  const store = new Datastore({
    pool: { name: "p", namespace: "inference", appProtocol: undefined },
    logger: silentLogger,
  });
  const agent = new TlsAgent({ keepAlive: true, rejectUnauthorized: false });
  let lists = 0;
  const counted = { ...noMetrics, counter: () => ({ labels: () => ({ inc: () => void lists++ }), remove: () => {} }) };
  const pool = new KubernetesPool({
    client: new ApiClient({
      server: new URL(`https://127.0.0.1:${port}`),
      origin: "bench",
      namespace: undefined,
      credentials: async () => ({ headers: {}, agent }),
      refused: () => {},
    }),
    namespace: "inference",
    origin: { kind: "selector", selector: "app=vllm", targetPorts: [8000] },
    endpoints: store,
    onPool: () => {},
    objectives: { set: () => {}, delete: () => {} },
    rewrites: { set: () => {}, delete: () => {} },
    listeners: [],
    clock: systemClock,
    timers: realTimers,
    random: Math.random,
    logger: silentLogger,
    metrics: counted,
    limits: { firstBackOffMs: 10, mostBackOffMs: 20 },
  });
  const before = process.memoryUsage();
  pool.start();
  // Warm, as a process is that lists again.
  while (lists < 4) await new Promise((resolve) => setTimeout(resolve, 5));
  const turns = new Turns(() => lists);
  const fromLists = lists;
  while (lists < fromLists + 20) await new Promise((resolve) => setTimeout(resolve, 5));
  const { longestMs, busyMs, collectionsMs } = await turns.stop();
  console.log(`20 lists taken in by a watch, ${store.snapshot().length} endpoints`);
  console.log(`  longest turn of the event loop in a list: ${spread(longestMs)}`);
  console.log(`  CPU time of the thread for a list: ${spread(busyMs)}`);
  console.log(`  ${collectionsMs.length} collections of garbage in all: ${spread(collectionsMs)}`);
  pool.stop();
  agent.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  global.gc?.();
  const after = process.memoryUsage();
  console.log(
    `heap in use: ${(before.heapUsed / 1e6).toFixed(1)} MB before, ${(after.heapUsed / 1e6).toFixed(1)} MB with ${pods} pods known`,
  );
  await worker.terminate();
}

if (isMainThread) await main();
else serve(workerData as ServerData);
