/**
 * How long a full list of 1,000 real-sized pods holds the event loop up: parsed as a whole, and taken in by a watch.
 *
 *   node --conditions=@pointsman/source packages/kube/bench/relist.ts [pods]
 */
import { createServer, Agent as TlsAgent } from "node:https";
import type { AddressInfo } from "node:net";
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

/** CPU time of each turn of the event loop that did something: what other programs on the machine do does not show. */
class Turns {
  readonly #ms: number[] = [];
  #running = true;
  #lastMs: number = cpuMs();

  constructor() {
    const turn = (): void => {
      const nowMs = cpuMs();
      if (nowMs - this.#lastMs > 0.05) this.#ms.push(nowMs - this.#lastMs);
      this.#lastMs = nowMs;
      if (this.#running) setImmediate(turn);
    };
    setImmediate(turn);
  }

  stop(): { readonly totalMs: number; worst(share: number): string } {
    this.#running = false;
    const sorted = this.#ms.sort((a, b) => a - b);
    return {
      totalMs: sorted.reduce((sum, ms) => sum + ms, 0),
      worst: (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(1),
    };
  }
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
  const turns = new Turns();
  const fromLists = lists;
  while (lists < fromLists + 20) await new Promise((resolve) => setTimeout(resolve, 5));
  const { totalMs, worst } = turns.stop();
  console.log(
    `taken in by a watch: at most ${worst(1)} ms of CPU in one turn of the event loop, 99.9 % at most ${worst(0.999)}, 99 % at most ${worst(0.99)}`,
  );
  console.log(
    `CPU of the thread ${(totalMs / (lists - fromLists)).toFixed(0)} ms a list; ${store.snapshot().length} endpoints`,
  );
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
