import type { Endpoint, ProfileResult, SchedulingResult } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import disaggHeadersHandler from "./index.ts";

pluginContract(disaggHeadersHandler, { testFile: import.meta.url });

const decode = buildEndpoint(0, { address: "10.0.0.1", port: 8000 });
const prefill = buildEndpoint(1, { address: "fd00::1", port: 8001 });
const encoders = [2, 3].map((slot) => buildEndpoint(slot, { address: `10.0.0.${slot}`, port: 8000 }));
const found = (targets: readonly Endpoint[]): ProfileResult => ({
  targets,
  candidates: targets,
  totals: new Float64Array(targets.length),
});

function headersOf(stages: Readonly<Record<string, readonly Endpoint[]>>, params: unknown = {}): unknown {
  const { instance } = buildPlugin(disaggHeadersHandler, { params });
  const request = buildRequest();
  const result: SchedulingResult = {
    primaryProfile: "decode",
    profiles: new Map(Object.entries(stages).map(([name, targets]) => [name, found(targets)])),
  };
  expect(instance.preRequest!(request, result)).toBeUndefined();
  return Object.fromEntries(request.upstreamHeaders);
}

test("the first prefill endpoint and all encode endpoints are named", () => {
  expect(headersOf({ decode: [decode], prefill: [prefill, decode], encode: encoders })).toEqual({
    "x-prefiller-host-port": "[fd00::1]:8001",
    "x-encoder-hosts-ports": "10.0.0.2:8000,10.0.0.3:8000",
  });
});

test("a stage that did not run leaves its header out", () => {
  expect(headersOf({ decode: [decode] })).toEqual({});
  expect(headersOf({ decode: [decode], encode: encoders })).toEqual({
    "x-encoder-hosts-ports": "10.0.0.2:8000,10.0.0.3:8000",
  });
});

test("the profiles are those that are named", () => {
  const params = { prefillProfile: "p", encodeProfile: "e" };
  expect(headersOf({ decode: [decode], p: [prefill], encode: encoders }, params)).toEqual({
    "x-prefiller-host-port": "[fd00::1]:8001",
  });
});

test("property: every encode endpoint is named once, in order", () => {
  const target = fc.nat(9).map((slot) => buildEndpoint(slot));
  fc.assert(
    fc.property(fc.array(target, { minLength: 1 }), (targets) => {
      expect(headersOf({ decode: [decode], encode: targets })).toEqual({
        "x-encoder-hosts-ports": targets.map(({ hostPort }) => hostPort).join(","),
      });
    }),
  );
});

test("is also known as prefill-header-handler", () => {
  expect(disaggHeadersHandler.aliases).toEqual(["prefill-header-handler"]);
});
