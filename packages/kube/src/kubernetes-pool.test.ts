import {
  type InferenceModelRewrite,
  type InferenceObjective,
  type KubernetesEvent,
  type KubernetesListener,
  type Logger,
  noMetrics,
  silentLogger,
  systemClock,
} from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeApi, until } from "../test/fake-api.ts";
import { realTimers } from "../test/real-timers.ts";
import { ApiClient } from "./api-client.ts";
import type { PoolSpec } from "./inference-pool.ts";
import { KubernetesPool, type KubernetesPoolOptions } from "./kubernetes-pool.ts";

const pools = "/apis/inference.networking.k8s.io/v1/namespaces/ns/inferencepools";
const pods = "/api/v1/namespaces/ns/pods";
const objectives = "/apis/llm-d.ai/v1alpha2/namespaces/ns/inferenceobjectives";
const formerObjectives = "/apis/inference.networking.x-k8s.io/v1alpha2/namespaces/ns/inferenceobjectives";
const rewrites = "/apis/llm-d.ai/v1alpha2/namespaces/ns/inferencemodelrewrites";

class Store<T extends { readonly name: string }> {
  readonly objects = new Map<string, T>();
  set(object: T): void {
    this.objects.set(object.name, object);
  }
  delete(name: string): void {
    this.objects.delete(name);
  }
}

let api: FakeApi;
let store: Datastore;
let told: (PoolSpec | undefined)[];
const running: KubernetesPool[] = [];
let priorities: Store<InferenceObjective>;
let rules: Store<InferenceModelRewrite>;

beforeEach(async () => {
  api = new FakeApi(pools, pods, objectives, rewrites);
  store = new Datastore({ pool: { name: "p", namespace: "ns", appProtocol: undefined }, logger: silentLogger });
  told = [];
  priorities = new Store();
  rules = new Store();
  await api.start();
});
afterEach(async () => {
  for (const pool of running.splice(0)) pool.stop();
  await api.stop();
});

function follow(more: Partial<KubernetesPoolOptions> = {}): KubernetesPool {
  const pool = new KubernetesPool({
    client: new ApiClient(api.access()),
    namespace: "ns",
    origin: { kind: "InferencePool", name: "p", group: "inference.networking.k8s.io" },
    endpoints: store,
    onPool: (spec) => told.push(spec),
    objectives: priorities,
    rewrites: rules,
    listeners: [],
    clock: systemClock,
    timers: realTimers,
    random: () => 0.5,
    logger: silentLogger,
    metrics: noMetrics,
    limits: { firstBackOffMs: 5, mostBackOffMs: 20, absentMs: 20, goneMs: 40 },
    ...more,
  });
  running.push(pool);
  pool.start();
  return pool;
}

const putPool = (selector: object = { app: "x" }, ports: readonly number[] = [8000], more: object = {}): void => {
  const spec = {
    selector: { matchLabels: selector },
    targetPorts: ports.map((number) => ({ number })),
    appProtocol: "http",
  };
  api.put(pools, { metadata: { name: "p", namespace: "ns", ...more }, spec });
};
const putPod = (
  name: string,
  labels: Record<string, string> = { app: "x" },
  ready = "True",
  more: object = {},
): void => {
  api.put(pods, {
    metadata: { name, namespace: "ns", labels, uid: `uid-${name}`, ...more },
    status: { podIP: `10.0.0.${name.charCodeAt(0)}`, phase: "Running", conditions: [{ type: "Ready", status: ready }] },
  });
};
const names = (): string =>
  store
    .snapshot()
    .map(({ metadata }) => `${metadata.name}:${metadata.port}`)
    .sort()
    .join(" ");
const serving = (expected: string): Promise<void> =>
  until(`endpoints ${expected}, not ${names()}`, () => names() === expected);

test("the pods of the pool that are ready become endpoints, and it is synced once they are known", async () => {
  for (const name of ["a", "b"]) putPod(name);
  putPod("c", { app: "x" }, "False");
  putPod("d", { app: "other" });
  putPool();
  const pool = follow();
  expect(pool.notSynced()).toContain("is not known yet");
  await until("it is synced", () => pool.notSynced() === undefined);
  expect(names()).toBe("a:8000 b:8000");
  expect(told).toEqual([{ selector: "app=x", targetPorts: [8000], appProtocol: "http" }]);
  putPod("c");
  await serving("a:8000 b:8000 c:8000");
  // The kubelet's way of ending a pod, then its end.
  putPod("a", { app: "x" }, "True", { deletionTimestamp: "2026-01-01T00:00:00Z" });
  await serving("b:8000 c:8000");
  api.remove(pods, "b");
  await serving("c:8000");
});

test("without the pool it is not synced and says what is missing; pods that were there first count when it comes", async () => {
  putPod("a");
  const pool = follow();
  await until("the pool is looked for", () => pool.notSynced()?.includes("there is no InferencePool ns/p") === true);
  putPool();
  await until("it is synced", () => pool.notSynced() === undefined);
  expect(names()).toBe("a:8000");
});

test("another selector and other ports: the former endpoints serve until the new ones are known", async () => {
  putPod("a");
  putPod("b", { app: "y" });
  putPod("c", { app: "x", also: "y" });
  putPool();
  const pool = follow();
  await serving("a:8000 c:8000");
  putPool({ app: "x" }, [8000, 8001]);
  await serving("a:8000 a:8001 c:8000 c:8001");
  const seen = new Set<string>();
  store.subscribe({ endpointChanged: () => seen.add(names()) });
  putPool({ app: "y" }, [8000, 8001]);
  await serving("b:8000 b:8001");
  expect(seen.has("")).toBe(false);
  expect(pool.notSynced()).toBeUndefined();
});

test("the pool deleted: no endpoints and not synced; made again: all is back, objectives and rules included", async () => {
  const ref = { poolRef: { name: "p" } };
  api.put(objectives, { metadata: { name: "o", namespace: "ns" }, spec: { ...ref, priority: 3 } });
  api.put(rewrites, { metadata: { name: "r", namespace: "ns" }, spec: { ...ref, rules: [] } });
  putPod("a");
  putPool();
  const pool = follow();
  await until("it is synced", () => pool.notSynced() === undefined);
  api.remove(pools, "p");
  await serving("");
  expect(told.at(-1)).toBeUndefined();
  expect(pool.notSynced()).toContain("there is no InferencePool ns/p");
  putPool();
  await serving("a:8000");
  expect(pool.notSynced()).toBeUndefined();
  expect([...priorities.objects.values()]).toEqual([{ name: "o", priority: 3 }]);
  expect([...rules.objects.keys()]).toEqual(["r"]);
});

test("a pool that somebody deletes has no endpoints, whatever keeps the object", async () => {
  putPod("a");
  putPool();
  follow();
  await serving("a:8000");
  putPool({ app: "x" }, [8000], { deletionTimestamp: "2026-01-01T00:00:00Z" });
  await serving("");
});

test("a pool that cannot be used leaves what was known, and is told in the log", async () => {
  const lines: unknown[] = [];
  const logger: Logger = { ...silentLogger, error: (fields, message) => lines.push({ ...fields, message }) };
  putPod("a");
  putPool();
  follow({ logger });
  await serving("a:8000");
  putPool({ app: "x" }, [99_999]);
  await until("it is told", () => lines.length > 0);
  expect(lines[0]).toMatchObject({ pool: "ns/p", problem: expect.stringContaining("99999") });
  expect(names()).toBe("a:8000");
});

test("objectives and rules of other pools, and those being deleted, do not count; a change of the reference does", async () => {
  putPool();
  const put = (name: string, poolRef: object, priority: number, more: object = {}): void => {
    api.put(objectives, { metadata: { name, namespace: "ns", ...more }, spec: { poolRef, priority } });
  };
  put("mine", { name: "p" }, 1);
  put("other", { name: "q" }, 2);
  put("ending", { name: "p" }, 3, { deletionTimestamp: "2026-01-01T00:00:00Z" });
  const pool = follow();
  await until("it is synced", () => pool.notSynced() === undefined);
  expect([...priorities.objects.keys()]).toEqual(["mine"]);
  put("other", { name: "p" }, 2);
  put("mine", { name: "q" }, 1);
  await until("they changed sides", () => priorities.objects.has("other") && !priorities.objects.has("mine"));
  api.remove(objectives, "other");
  await until("it is gone", () => priorities.objects.size === 0);
});

test("kinds that are not installed do not keep it from being ready, and count once they are", async () => {
  api.paths.delete(objectives);
  api.paths.delete(rewrites);
  putPool();
  const pool = follow();
  await until("it is synced", () => pool.notSynced() === undefined);
  api.paths.add(rewrites);
  api.put(rewrites, { metadata: { name: "r", namespace: "ns" }, spec: { poolRef: { name: "p" }, rules: [] } });
  api.paths.add(formerObjectives);
  api.put(formerObjectives, {
    metadata: { name: "o", namespace: "ns" },
    spec: { poolRef: { name: "p" }, priority: 1 },
  });
  await until("both came", () => rules.objects.has("r") && priorities.objects.has("o"));
});

test("with the API server away endpoints stay and it stays synced; changes meanwhile come when it is back", async () => {
  for (const name of ["a", "b", "c"]) putPod(name);
  putPool();
  const pool = follow();
  await until("it is synced", () => pool.notSynced() === undefined);
  await api.stop();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(names()).toBe("a:8000 b:8000 c:8000");
  expect(pool.notSynced()).toBeUndefined();
  api.remove(pods, "b");
  putPod("d");
  await api.start();
  await serving("a:8000 c:8000 d:8000");
});

test("a selector in place of a pool: known from the start, and no other kinds are asked for", async () => {
  putPod("a");
  const pool = follow({ origin: { kind: "selector", selector: "app=x", targetPorts: [8000, 8001] } });
  await until("it is synced", () => pool.notSynced() === undefined);
  expect(names()).toBe("a:8000 a:8001");
  expect(told).toEqual([{ selector: "app=x", targetPorts: [8000, 8001], appProtocol: undefined }]);
  expect(api.requests.every((line) => line.includes(pods))).toBe(true);
});

test("plugins hear of the objects they follow: all there are, that it is all, changes, what they missed", async () => {
  putPod("a", { app: "x" }, "True", { managedFields: [{ manager: "kubelet" }] });
  putPod("b", { app: "other" });
  putPool();
  const events: KubernetesEvent[] = [];
  const instance: KubernetesListener = {
    watchedResource: () => ({ group: "", version: "v1", kind: "Pod", plural: "pods", labelSelector: "app=x" }),
    resourceChanged: (event) => {
      events.push(event);
      throw new Error("a plugin that fails");
    },
  };
  follow({ listeners: [{ name: "listener", type: "listener", instance }] });
  await until("the first events came", () => events.length === 2);
  expect(events[0]).toMatchObject({ type: "addOrUpdate", object: { metadata: { name: "a", labels: { app: "x" } } } });
  expect(JSON.stringify(events[0])).not.toContain("managedFields");
  expect(events[1]).toEqual({ type: "synced" });
  await until("all watches are open", () => api.watches >= 5);
  api.remove(pods, "a", true);
  api.breakWatches();
  await until("the deletion came", () => events.length === 3);
  expect(events[2]).toEqual({ type: "delete", namespace: "ns", name: "a" });
});

/** A plugin that follows the pods of one app. */
function podListener(app: string, events: string[]): { name: string; type: string; instance: KubernetesListener } {
  const instance: KubernetesListener = {
    watchedResource: () => ({ group: "", version: "v1", kind: "Pod", plural: "pods", labelSelector: `app=${app}` }),
    resourceChanged: (event) => {
      events.push(event.type === "addOrUpdate" ? `has ${event.object.metadata.name}` : event.type);
    },
  };
  return { name: "listener", type: "listener", instance };
}

test("a plugin that joins knows what exists once that is awaited; one that leaves hears nothing more", async () => {
  putPod("a");
  putPod("b", { app: "y" });
  putPool();
  const [first, second]: [string[], string[]] = [[], []];
  const [old, young] = [podListener("x", first), podListener("y", second)];
  const pool = follow({ listeners: [old] });
  await until("the first one knows", () => first.includes("synced"));
  await pool.addListeners([old, young]);
  expect([first, second]).toEqual([
    ["has a", "synced"],
    ["has b", "synced"],
  ]);
  // Of the same name, and nevertheless not the same.
  pool.keepListeners([young]);
  await until("the watches are open", () => api.watches === 5);
  putPod("c");
  putPod("d", { app: "y" });
  await until("the second one hears of it", () => second.includes("has d"));
  await serving("a:8000 c:8000");
  expect(first).toEqual(["has a", "synced"]);
  pool.keepListeners([]);
  await until("its watch is over", () => api.watches === 4);
});

test("plugins that join before the start are followed from the start on", async () => {
  putPod("a");
  putPool();
  const events: string[] = [];
  const pool = new KubernetesPool({
    client: new ApiClient(api.access()),
    namespace: "ns",
    origin: { kind: "InferencePool", name: "p", group: "inference.networking.k8s.io" },
    endpoints: store,
    onPool: () => {},
    objectives: priorities,
    rewrites: rules,
    listeners: [],
    clock: systemClock,
    timers: realTimers,
    random: () => 0.5,
    logger: silentLogger,
    metrics: noMetrics,
  });
  running.push(pool);
  await pool.addListeners([podListener("x", events)]);
  expect(api.requests).toEqual([]);
  pool.start();
  await until("it knows", () => events.includes("synced"));
  expect(events).toEqual(["has a", "synced"]);
});

test("when one of several that join cannot say what it asks for, none of them is told", async () => {
  putPod("a");
  putPool();
  const events: string[] = [];
  const pool = follow();
  await until("it is synced", () => pool.notSynced() === undefined);
  const broken = podListener("x", []);
  broken.instance.watchedResource = () => {
    throw new Error("no idea");
  };
  await expect(pool.addListeners([podListener("x", events), broken])).rejects.toThrow("no idea");
  await until("the watches are open", () => api.watches >= 4);
  expect(events).toEqual([]);
});

test("objects of the former group are used where the current one is missing, and told of where they have no effect", async () => {
  const log: string[] = [];
  const note = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    if (message.includes("former API group")) log.push(`${String(fields["path"])}: ${message}`);
  };
  const logger: Logger = { ...silentLogger, warn: note, info: note };
  const objective = (name: string) => ({
    metadata: { name, namespace: "ns" },
    spec: { priority: 5, poolRef: { name: "p" } },
  });
  api.paths.delete(objectives);
  api.paths.add(formerObjectives);
  api.put(formerObjectives, objective("old"));
  putPool();
  follow({ logger, limits: { firstBackOffMs: 5, mostBackOffMs: 20, absentMs: 20, goneMs: 40, resyncMs: 100 } });
  await until("the former is used", () => priorities.objects.has("old"));
  expect(log).toEqual([`${formerObjectives}: objects of the former API group are used`]);
  api.paths.add(objectives);
  await until("the current is used", () => !priorities.objects.has("old"));
  await until("it is told", () => log.length === 2);
  expect(log[1]).toBe(
    `${formerObjectives}: objects of a former API group have no effect: the current one is installed`,
  );
});
