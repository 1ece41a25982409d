/**
 * How long a full list of 1,000 real-sized pods holds the event loop up: parsed as a whole, and taken in by a watch.
 *
 *   node --conditions=@pointsman/source packages/kube/bench/relist.ts [pods]
 */
import { createServer, Agent as TlsAgent } from "node:https";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
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
    const startedAtMs = performance.now();
    JSON.parse(text);
    whole.push(performance.now() - startedAtMs);
  }
  console.log(`JSON.parse of the whole: ${whole.map((ms) => ms.toFixed(0)).join(", ")} ms in one piece`);
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
  const quiet = monitorEventLoopDelay({ resolution: 1 });
  quiet.enable();
  await new Promise((resolve) => setTimeout(resolve, 3000));
  quiet.disable();
  const before = process.memoryUsage();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  pool.start();
  while (lists < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  // Warm, as a process is that lists again.
  delay.enable();
  const cpu = process.threadCpuUsage();
  const [fromLists, startedAtMs] = [lists, performance.now()];
  while (lists < fromLists + 20) await new Promise((resolve) => setTimeout(resolve, 5));
  delay.disable();
  const { user, system } = process.threadCpuUsage(cpu);
  const done = lists - fromLists;
  // The timer itself waits for a millisecond.
  const blocked = (ns: number): string => Math.max(0, ns / 1e6 - 1).toFixed(1);
  console.log(
    `${done} lists in ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s: event loop late by at most ${blocked(delay.max)} ms, ` +
      `p99.9 ${blocked(delay.percentile(99.9))} ms, p99 ${blocked(delay.percentile(99))} ms`,
  );
  console.log(
    `the same timer with nothing to do: at most ${blocked(quiet.max)} ms, p99.9 ${blocked(quiet.percentile(99.9))} ms, p99 ${blocked(quiet.percentile(99))} ms`,
  );
  console.log(
    `CPU of the thread ${((user + system) / 1000 / done).toFixed(0)} ms a list; endpoints ${store.snapshot().length}`,
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
