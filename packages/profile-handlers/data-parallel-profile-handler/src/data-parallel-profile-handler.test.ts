import {
  type Endpoint,
  Exchange,
  Headers,
  type ProfileResult,
  RequestError,
  type RoutedRequest,
} from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  buildRouter,
  named,
  pluginContract,
  profileHandlerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import dataParallelProfileHandler from "./index.ts";

pluginContract(dataParallelProfileHandler, { testFile: import.meta.url });
profileHandlerContract(dataParallelProfileHandler, { profiles: ["default"] });

const rank3 = buildEndpoint(0, { address: "10.0.0.1", port: 8003 });
const other = buildEndpoint(1, { address: "10.0.0.2", port: 8001 });
const resultOf = (...targets: readonly Endpoint[]): ProfileResult => ({
  targets,
  candidates: targets,
  totals: new Float64Array(targets.length),
});

test("the request goes to the primary port; the target stays the rank that was chosen, without fallbacks", () => {
  const { instance } = buildPlugin(dataParallelProfileHandler, { params: { primaryPort: 9000 } });
  const decision = instance.processResults!(buildRequest(), new Map([["default", resultOf(rank3, other)]]));
  expect(decision).toEqual({
    primaryProfile: "default",
    profiles: new Map([["default", { ...resultOf(rank3, other), targets: [rank3] }]]),
    destinationPort: 9000,
  });
});

test("on the way through the picker the destination has the primary port, the header the rank", () => {
  const { instance } = buildPlugin(dataParallelProfileHandler);
  const v6 = buildEndpoint(2, { address: "fd00::1", port: 8005 });
  const { router } = buildRouter({ endpoints: [v6, other], plugins: [named(instance, "handler")] });
  const routed: RoutedRequest[] = [];
  const unexpected = (): never => {
    throw new Error("only a routed request is expected");
  };
  const exchange = new Exchange(router, {
    routed: (request) => routed.push(request),
    reply: unexpected,
    requestTrailers: unexpected,
    responseHeaders: unexpected,
    responseBody: unexpected,
    responseTrailers: unexpected,
  });
  const headers = Headers.from([
    [":path", "/v1/completions"],
    ["x-data-parallel-host-port", "203.0.113.9:1"],
  ]);
  exchange.requestHeaders(headers, false, {});
  exchange.requestBody(Buffer.from('{"model":"m"}'), true, {});
  exchange.close("client-disconnect");
  const [request] = routed;
  expect(request?.destination).toBe("[fd00::1]:8000");
  expect(request?.targets.map(({ hostPort }) => hostPort)).toEqual(["[fd00::1]:8000"]);
  expect(request?.headers.set).toContainEqual(["x-data-parallel-host-port", "[fd00::1]:8005"]);
  expect(request?.headers.set.filter(([name]) => name === "x-data-parallel-host-port")).toHaveLength(1);
  expect(v6.hostPort).toBe("[fd00::1]:8005");
});

test("runs the profile once; its error ends the request unchanged", () => {
  const { instance } = buildPlugin(dataParallelProfileHandler);
  const error = new RequestError("ResourceExhausted", "no endpoint left", "rejected-saturated");
  expect(instance.pickProfiles!(buildRequest(), ["default"], new Map())).toEqual(["default"]);
  const results = new Map([["default", error]]);
  expect(instance.pickProfiles!(buildRequest(), ["default"], results)).toEqual([]);
  expect(instance.processResults!(buildRequest(), results)).toBe(error);
});

test("property: the header is the first target, the destination its address with the primary port", () => {
  const target = fc
    .tuple(fc.nat(20), fc.ipV4(), fc.integer({ min: 1, max: 65535 }))
    .map(([slot, address, port]) => buildEndpoint(slot, { address, port }));
  fc.assert(
    fc.property(fc.array(target, { minLength: 1 }), fc.integer({ min: 1, max: 65535 }), (targets, primaryPort) => {
      const { instance } = buildPlugin(dataParallelProfileHandler, { params: { primaryPort } });
      const request = buildRequest();
      const decision = instance.processResults!(request, new Map([["default", resultOf(...targets)]]));
      if (decision instanceof RequestError) throw new Error("refused");
      instance.preRequest!(request, decision);
      expect(decision.destinationPort).toBe(primaryPort);
      expect(Object.fromEntries(request.upstreamHeaders)).toEqual({
        "x-data-parallel-host-port": targets[0]!.hostPort,
      });
    }),
  );
});

test("more than one profile is refused with their names", () => {
  const { instance } = buildPlugin(dataParallelProfileHandler);
  expect(instance.checkProfiles!(["decode", "prefill"])).toBe(
    "data-parallel-profile-handler needs exactly one scheduling profile; there are 2: decode, prefill",
  );
});

test.each([0, -1, 65536, 8000.5, "8000"])("primaryPort %j is refused", (primaryPort) => {
  expect(() => buildPlugin(dataParallelProfileHandler, { params: { primaryPort } })).toThrow("primaryPort");
});
