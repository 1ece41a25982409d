import { silentLogger } from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Pod } from "./pod.ts";
import { endpointsOf, PodEndpoints } from "./pod-endpoints.ts";

const pod = (name: string, fields: Partial<Pod> = {}): Pod => ({
  namespace: "ns",
  name,
  uid: "u1",
  labels: { app: "x" },
  address: "10.0.0.1",
  nodeAddress: "192.168.0.1",
  phase: "Running",
  ready: "True",
  terminating: false,
  activePorts: undefined,
  ...fields,
});

function started(ports: readonly number[] = [8000]) {
  const store = new Datastore({
    pool: { name: "p", namespace: "ns", appProtocol: undefined },
    logger: silentLogger,
  });
  const endpoints = new PodEndpoints(store);
  endpoints.setTargetPorts(ports);
  const ids = (): string[] => store.snapshot().map(({ id, hostPort }) => `${id} ${hostPort}`);
  return { store, endpoints, ids };
}

test("an endpoint for each target port, with the port's position as rank", () => {
  expect(endpointsOf(pod("a"), [8000, 8001])).toEqual([
    {
      id: "ns/a-rank-0",
      namespace: "ns",
      name: "a",
      address: "10.0.0.1",
      port: 8000,
      metricsHost: "10.0.0.1:8000",
      nodeAddress: "192.168.0.1",
      labels: { app: "x" },
      rankIndex: 0,
    },
    expect.objectContaining({ id: "ns/a-rank-1", port: 8001, metricsHost: "10.0.0.1:8001", rankIndex: 1 }),
  ]);
});

test("IPv6 addresses stand in brackets where a port follows", () => {
  const [endpoint] = endpointsOf(pod("a", { address: "fd00::1" }), [8000]);
  expect(endpoint).toMatchObject({ address: "fd00::1", metricsHost: "[fd00::1]:8000" });
});

test("a pod that may get no requests has no endpoints, and gets them back", () => {
  const { endpoints, ids } = started();
  endpoints.upsert("ns/a", pod("a"));
  endpoints.upsert("ns/a", pod("a", { ready: "False" }));
  expect(ids()).toEqual([]);
  expect(endpoints.pods).toBe(1);
  endpoints.upsert("ns/a", pod("a"));
  expect(ids()).toEqual(["ns/a-rank-0 10.0.0.1:8000"]);
  endpoints.remove("ns/a");
  expect(ids()).toEqual([]);
});

test("ranks follow the annotation", () => {
  const { endpoints, ids } = started([8000, 8001]);
  endpoints.upsert("ns/a", pod("a", { activePorts: "8001" }));
  expect(ids()).toEqual(["ns/a-rank-1 10.0.0.1:8001"]);
  endpoints.upsert("ns/a", pod("a", { activePorts: "8000" }));
  expect(ids()).toEqual(["ns/a-rank-0 10.0.0.1:8000"]);
  endpoints.upsert("ns/a", pod("a", { activePorts: "" }));
  expect(ids()).toEqual([]);
});

test("target ports that change make other endpoints of the same pods", () => {
  const { endpoints, ids } = started([8000, 8001]);
  endpoints.upsert("ns/a", pod("a"));
  endpoints.setTargetPorts([9000]);
  expect(ids()).toEqual(["ns/a-rank-0 10.0.0.1:9000"]);
});

test("another pod of the same name is another endpoint: listeners hear of the end of the former one", () => {
  const { store, endpoints } = started();
  endpoints.upsert("ns/a", pod("a"));
  const events: string[] = [];
  store.subscribe({ endpointChanged: ({ type, endpoint }) => events.push(`${type} ${endpoint.hostPort}`) });
  endpoints.upsert("ns/a", pod("a", { uid: "u2", address: "10.0.0.2" }));
  expect(events).toEqual(["addOrUpdate 10.0.0.1:8000", "delete 10.0.0.1:8000", "addOrUpdate 10.0.0.2:8000"]);
});

test("whatever comes and goes, the endpoints are those of the pods that are known and may get requests", () => {
  const name = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    fc.record({
      name,
      ready: fc.constantFrom("True", "False"),
      uid: fc.constantFrom("u1", "u2"),
      activePorts: fc.constantFrom(undefined, "8001", ""),
    }),
    fc.record({ gone: name }),
    fc.record({ ports: fc.constantFrom([8000], [8000, 8001]) }),
    fc.record({ keep: fc.uniqueArray(name) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { endpoints, store } = started();
      const model = new Map<string, Pod>();
      let ports: readonly number[] = [8000];
      for (const each of steps) {
        if ("gone" in each) {
          model.delete(each.gone);
          endpoints.remove(`ns/${each.gone}`);
        } else if ("ports" in each) {
          ports = each.ports;
          endpoints.setTargetPorts(ports);
        } else if ("keep" in each) {
          const kept = new Set<string>(each.keep);
          for (const key of [...model.keys()]) if (!kept.has(key)) model.delete(key);
          endpoints.retain(new Set(each.keep.map((key) => `ns/${key}`)));
        } else {
          const next = pod(each.name, { ready: each.ready, uid: each.uid, activePorts: each.activePorts });
          model.set(each.name, next);
          endpoints.upsert(`ns/${each.name}`, next);
        }
        const expected = [...model.values()].flatMap((each) => endpointsOf(each, ports).map(({ id }) => id));
        expect(
          store
            .snapshot()
            .map(({ id }) => id)
            .sort(),
        ).toEqual(expected.sort());
      }
    }),
  );
});
