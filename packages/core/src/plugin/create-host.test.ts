import { expect, test } from "vitest";
import { RecordingLogger } from "../../test/recording-logger.ts";
import { RecordingMetrics } from "../../test/recording-metrics.ts";
import { buildEndpoint, buildRequest, FakeClock } from "../../test/testkit.ts";
import { type AttributeKey, defineAttribute } from "../attributes/attribute-key.ts";
import { createHost, type HostEnvironment } from "./create-host.ts";
import { definePlugin, type PluginHost } from "./plugin.ts";

const endpointKey = (dataType: string): AttributeKey<number> =>
  defineAttribute<number>({ dataType, scope: "endpoint", defaultProducer: "host-test" }).from();
const requestType = defineAttribute<string>({
  dataType: "HostRequest",
  scope: "request",
  defaultProducer: "host-test",
});
const needed = endpointKey("HostNeeded");
const wished = endpointKey("HostWished");
const made = endpointKey("HostMade");
const stranger = endpointKey("HostStranger");

interface Params {
  readonly suffix: string;
}

const definition = definePlugin<Params>({
  type: "host-test",
  kind: "producer",
  stability: "beta",
  summary: "Tests hosts.",
  consumes: () => ({ required: [needed], optional: [wished] }),
  produces: ({ suffix }, name) => [made, requestType.from(`${name}${suffix}`)],
  create: () => ({}),
});

function build(name = "mine"): { host: PluginHost; environment: HostEnvironment } {
  const clock = new FakeClock();
  const environment: HostEnvironment = {
    logger: new RecordingLogger(),
    metrics: new RecordingMetrics(),
    clock,
    timers: clock.timers,
    baseDirectory: "configs",
    stalenessMs: 2000,
    random: () => 0.25,
    endpoints: () => [],
    plugin: (other) => (other === "friend" ? { score: () => {} } : undefined),
  };
  return { host: createHost(definition, name, { suffix: "-1" }, environment), environment };
}

test("a host passes on what the process offers, under the instance's name", () => {
  const { host, environment } = build();
  expect(host).toMatchObject({ name: "mine", type: "host-test", baseDirectory: "configs" });
  for (const part of ["logger", "metrics", "clock", "timers", "random", "endpoints", "plugin"] as const) {
    expect(host[part]).toBe(environment[part]);
  }
});

test("values are read with their age and given as fresh up to the threshold", () => {
  const { host } = build();
  const reader = host.endpointReader(needed);
  const endpoint = buildEndpoint(0, { attributes: [[needed, 7, 1000]] });
  expect(reader.get(endpoint)).toBe(7);
  expect(reader.fresh(endpoint, 3000)).toBe(7);
  expect(reader.fresh(endpoint, 3001)).toBeUndefined();
  expect(reader.get(endpoint)).toBe(7);
  expect(reader.ageMs(endpoint, 3001)).toBe(2001);
});

test("what was never written has no value and no age, also when a later key was", () => {
  const { host } = build();
  const reader = host.endpointReader(needed);
  for (const endpoint of [buildEndpoint(0), buildEndpoint(0, { attributes: [[stranger, 1, 0]] })]) {
    expect(reader.get(endpoint)).toBeUndefined();
    expect(reader.fresh(endpoint, 0)).toBeUndefined();
    expect(reader.ageMs(endpoint, 0)).toBeUndefined();
  }
});

test("a value that was withdrawn is unknown, with an age", () => {
  const { host } = build();
  const endpoint = buildEndpoint(0);
  const writer = host.endpointWriter(made);
  const reader = host.endpointReader(made);
  writer.set(endpoint, 3, 100);
  expect(reader.fresh(endpoint, 100)).toBe(3);
  writer.set(endpoint, undefined, 200);
  expect(reader.fresh(endpoint, 250)).toBeUndefined();
  expect(reader.ageMs(endpoint, 250)).toBe(50);
});

test("declared keys may be read: required, optional and produced ones", () => {
  const { host } = build();
  for (const key of [needed, wished, made]) expect(host.endpointReader(key).get(buildEndpoint(0))).toBeUndefined();
  expect(host.requestReader(requestType.from("mine-1")).get(buildRequest())).toBeUndefined();
});

test.each([
  ["to read an endpoint attribute", "consumes or produces", (host: PluginHost) => host.endpointReader(stranger)],
  ["to read a request attribute", "consumes or produces", (host: PluginHost) => host.requestReader(requestType.from())],
  ["to write an endpoint attribute", "produces", (host: PluginHost) => host.endpointWriter(stranger)],
  ["to write a request attribute", "produces", (host: PluginHost) => host.requestWriter(requestType.from("mine-2"))],
  ["to write what it only consumes", "produces", (host: PluginHost) => host.endpointWriter(needed)],
])("an undeclared wish %s is refused at once", (_name, where, ask) => {
  const { host } = build();
  expect(() => ask(host)).toThrow(
    expect.objectContaining({
      code: "EPP_PLUGIN_UNDECLARED_ATTRIBUTE",
      message: expect.stringMatching(
        new RegExp(`^plugin type "host-test" asks to .* does not declare it in ${where}$`),
      ),
    }),
  );
});

test("a plugin that declares nothing may read and write nothing", () => {
  const { environment } = build();
  const bare = definePlugin({ type: "bare", kind: "filter", stability: "beta", summary: "Bare.", create: () => ({}) });
  const host = createHost(bare, "bare", undefined, environment);
  expect(() => host.endpointReader(needed)).toThrow('plugin type "bare" asks to read HostNeeded/host-test');
  expect(() => host.endpointWriter(made)).toThrow('plugin type "bare" asks to write HostMade/host-test');
});

test("a producer's request attributes are written until it is late; others write on", () => {
  const first = build("mine").host;
  const second = build("other").host;
  const request = buildRequest();
  const firstKey = requestType.from("mine-1");
  const secondKey = requestType.from("other-1");
  const writer = first.requestWriter(firstKey);
  writer.set(request, "in time");
  request.markLate("mine");
  writer.set(request, "late");
  second.requestWriter(secondKey).set(request, "in time too");
  expect(first.requestReader(firstKey).get(request)).toBe("in time");
  expect(second.requestReader(secondKey).get(request)).toBe("in time too");
});

test("keys of a plugin's own copy of the package reach the same values", () => {
  const { host } = build();
  const foreign: AttributeKey<number> = { ...made, index: 9999 };
  const endpoint = buildEndpoint(0);
  host.endpointWriter(foreign).set(endpoint, 5, 0);
  for (const key of [made, foreign]) {
    expect(host.endpointReader(key).get(endpoint)).toBe(5);
    expect(host.endpointReader(key).ageMs(endpoint, 10)).toBe(10);
  }
  expect(endpoint.values.length).toBeLessThan(9999);
  const request = buildRequest();
  const foreignRequest: AttributeKey<string> = { ...requestType.from("mine-1"), index: 9998 };
  host.requestWriter(foreignRequest).set(request, "same");
  expect(host.requestReader(foreignRequest).get(request)).toBe("same");
  expect(request.attributes.get(requestType.from("mine-1"))).toBe("same");
});
