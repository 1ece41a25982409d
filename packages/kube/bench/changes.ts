/**
 * Memory and CPU while pods change: 15,000 changes of 1,000 real-sized pods, as many as 5 minutes of 50 a second.
 *
 *   node --expose-gc --conditions=@pointsman/source packages/kube/bench/changes.ts [changes]
 */
import { noMetrics, silentLogger, systemClock } from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { ApiClient, KubernetesPool } from "../src/index.ts";
import { FakeApi, type FakeObject } from "../test/fake-api.ts";
import { realTimers } from "../test/real-timers.ts";
import { realPod } from "./real-pod.ts";

const changes = Number(process.argv[2] ?? 15_000);
const pods = 1000;
const path = "/api/v1/namespaces/inference/pods";

const api = new FakeApi(path);
await api.start();
for (let i = 0; i < pods; i++) api.put(path, realPod(i, i) as FakeObject);
const store = new Datastore({
  pool: { name: "p", namespace: "inference", appProtocol: undefined },
  logger: silentLogger,
});
let events = 0;
store.subscribe({ endpointChanged: () => events++ });
const pool = new KubernetesPool({
  client: new ApiClient(api.access()),
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
  metrics: noMetrics,
});
pool.start();
while (store.snapshot().length < pods || api.watches === 0) await new Promise((resolve) => setTimeout(resolve, 10));
console.log(`${pods} pods known; ${changes} changes of them follow`);
for (let done = 0; done <= changes; done += 100) {
  for (let i = 0; i < 100; i++) {
    const index = (done + i) % pods;
    // Every tenth change is one of readiness, the others touch nothing that is used.
    const pod = realPod(index, 0) as FakeObject & { status: { conditions: { type: string; status: string }[] } };
    const ready = (done + i) % 10 !== 0;
    for (const condition of pod.status.conditions)
      if (condition.type === "Ready") condition.status = ready ? "True" : "False";
    api.put(path, pod);
  }
  // What the fake keeps of the past is not the watch's memory.
  api.clearHistory();
  do await new Promise((resolve) => setTimeout(resolve, 5));
  while (api.backlogBytes > 0);
  if (done % (changes / 5) === 0) {
    global.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    console.log(
      `${done} changes, ${events} endpoint events: heap in use ${(heapUsed / 1e6).toFixed(1)} MB, outside of it ${(external / 1e6).toFixed(1)} MB`,
    );
  }
}
pool.stop();
await api.stop();
