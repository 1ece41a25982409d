import { type Endpoint, type KubernetesObject, type PluginInstance, TOPOLOGY } from "@pointsman/core";
import { buildEndpoint, buildPlugin, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import plugin from "./index.ts";

pluginContract(plugin, {
  testFile: import.meta.url,
  exercise: ({ instance }) => {
    for (let i = 0; i < 5000; i++) {
      instance.endpointChanged?.({ type: "addOrUpdate", endpoint: buildEndpoint(i) });
      instance.resourceChanged?.({ type: "addOrUpdate", object: pod(`p${i}`, `host-${i}`) });
    }
  },
});

const { index } = TOPOLOGY.from();
const placeOf = (endpoint: Endpoint): unknown => endpoint.values[index];

function pod(name: string, hostname: string | undefined, fields: Partial<KubernetesObject> = {}): KubernetesObject {
  return {
    metadata: { namespace: "default", name },
    spec: { hostname },
    status: {
      conditions: [
        { type: "Initialized", status: "True" },
        { type: "Ready", status: "True" },
      ],
    },
    ...fields,
  };
}

function build(params: object = {}, name?: string): PluginInstance {
  return buildPlugin(plugin, { params, ...(name === undefined ? {} : { name }) }).instance;
}

const add = (instance: PluginInstance, endpoint: Endpoint): void =>
  instance.endpointChanged?.({ type: "addOrUpdate", endpoint });

const labels = {
  "kubernetes.io/hostname": "h1",
  "topology.kubernetes.io/rack": "r1",
  "topology.kubernetes.io/zone": "z1",
  "topology.kubernetes.io/region": "g1",
};

test("labels say where an endpoint runs", () => {
  const endpoint = buildEndpoint(0, { labels });
  add(build(), endpoint);
  expect(placeOf(endpoint)).toEqual({ hostname: "h1", rack: "r1", zone: "z1", region: "g1" });
});

test("labels have the configured names, and parts without one are unknown", () => {
  const endpoint = buildEndpoint(0, {
    labels: { ...labels, "example/zone": "z2", "topology.kubernetes.io/region": "" },
  });
  add(build({ zone: "example/zone", rack: "none" }), endpoint);
  expect(placeOf(endpoint)).toEqual({ hostname: "h1", zone: "z2" });
});

test("where nothing is known, the place is unknown, also after it was known", () => {
  const instance = build();
  const endpoint = buildEndpoint(0);
  add(instance, endpoint);
  expect(placeOf(endpoint)).toBeUndefined();
  endpoint.update({ ...endpoint.metadata, labels });
  add(instance, endpoint);
  expect(placeOf(endpoint)).toBeDefined();
  endpoint.update({ ...endpoint.metadata, labels: {} });
  add(instance, endpoint);
  expect(placeOf(endpoint)).toBeUndefined();
});

test("without a label the Pod's host name counts for all its ranks, told before or after the endpoint", () => {
  const instance = build();
  const [first, second, other] = [
    buildEndpoint(0, { name: "vllm-0" }),
    buildEndpoint(1, { name: "vllm-0" }),
    buildEndpoint(2, { name: "vllm-0", namespace: "elsewhere" }),
  ];
  add(instance, first!);
  instance.resourceChanged?.({ type: "addOrUpdate", object: pod("vllm-0", "h7") });
  add(instance, second!);
  add(instance, other!);
  expect([first, second, other].map((each) => placeOf(each!))).toEqual([
    { hostname: "h7" },
    { hostname: "h7" },
    undefined,
  ]);
});

test("a label goes before the Pod's host name", () => {
  const instance = build();
  const endpoint = buildEndpoint(0, { name: "vllm-0", labels: { "kubernetes.io/hostname": "label" } });
  instance.resourceChanged?.({ type: "addOrUpdate", object: pod("vllm-0", "spec") });
  add(instance, endpoint);
  expect(placeOf(endpoint)).toEqual({ hostname: "label" });
});

test.each<[string, KubernetesObject | undefined]>([
  ["deleted", undefined],
  ["not ready", pod("vllm-0", "h7", { status: { conditions: [{ type: "Ready", status: "False" }] } })],
  ["without conditions", pod("vllm-0", "h7", { status: {} })],
  [
    "going away",
    pod("vllm-0", "h7", {
      metadata: { namespace: "default", name: "vllm-0", deletionTimestamp: "2026-01-01T00:00:00Z" },
    }),
  ],
  ["without a host name", pod("vllm-0", undefined)],
  ["strange", pod("vllm-0", "h7", { spec: null, status: "up" })],
])("a Pod that is %s has no host name any more", (_what, object) => {
  const instance = build();
  const endpoint = buildEndpoint(0, { name: "vllm-0" });
  add(instance, endpoint);
  instance.resourceChanged?.({ type: "addOrUpdate", object: pod("vllm-0", "h7") });
  expect(placeOf(endpoint)).toEqual({ hostname: "h7" });
  instance.resourceChanged?.(
    object === undefined ? { type: "delete", namespace: "default", name: "vllm-0" } : { type: "addOrUpdate", object },
  );
  expect(placeOf(endpoint)).toBeUndefined();
});

test("of endpoints that are gone nothing is kept", () => {
  const instance = build();
  const endpoint = buildEndpoint(0);
  add(instance, endpoint);
  instance.endpointChanged?.({ type: "delete", endpoint });
  instance.endpointChanged?.({ type: "delete", endpoint });
  instance.resourceChanged?.({ type: "synced" });
  expect(instance.dumpState?.()).toEqual({ pods: 0, podsWithHostname: 0 });
});

test("under another name it writes an attribute of that name, and it follows Pods", () => {
  const instance = build({}, "mine");
  const endpoint = buildEndpoint(0, { labels });
  add(instance, endpoint);
  expect(endpoint.values[TOPOLOGY.from("mine").index]).toBeDefined();
  expect(instance.watchedResource?.()).toEqual({ group: "", version: "v1", kind: "Pod", plural: "pods" });
});

test("whatever the order of events, the place is that of the last ones", () => {
  const hostname = fc.option(fc.constantFrom("a", "b"), { nil: undefined });
  const step = fc.oneof(
    fc.record({ pod: hostname }),
    fc.record({ label: fc.option(fc.constantFrom("x", ""), { nil: undefined }) }),
  );
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const instance = build();
      const endpoint = buildEndpoint(0, { name: "vllm-0" });
      let [fromPod, label]: (string | undefined)[] = [];
      add(instance, endpoint);
      for (const each of steps) {
        if ("pod" in each) {
          fromPod = each.pod;
          instance.resourceChanged?.({ type: "addOrUpdate", object: pod("vllm-0", fromPod) });
        } else {
          label = each.label;
          endpoint.update({
            ...endpoint.metadata,
            labels: label === undefined ? {} : { "kubernetes.io/hostname": label },
          });
          add(instance, endpoint);
        }
      }
      const expected = label || fromPod;
      expect(placeOf(endpoint)).toEqual(expected === undefined ? undefined : { hostname: expected });
    }),
  );
});
