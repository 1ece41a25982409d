import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  pluginContract,
  type RequestOptions,
  screenerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import exampleScreener from "./index.ts";

const params = { headerName: "X-Zone", labelKey: "zone" };
const zones = fc.constantFrom("a", "b");

pluginContract(exampleScreener, { testFile: import.meta.url, params });
screenerContract(exampleScreener, {
  params,
  labels: zones.map((zone) => ({ zone })),
  request: () => fc.option(zones, { nil: "" }).map((zone): RequestOptions => ({ headers: { "x-zone": zone } })),
});

const { instance } = buildPlugin(exampleScreener, { params });
const [inA, inB] = [buildEndpoint(0, { labels: { zone: "a" } }), buildEndpoint(1, { labels: { zone: "b" } })];
const endpoints = [inA, inB, buildEndpoint(2)];

test("a request that names a zone keeps the endpoints in it", () => {
  expect(instance.screen!(buildRequest({ headers: { "x-zone": "b" } }), endpoints)).toEqual([inB]);
});

test.each([{}, { "x-zone": "" }, { "x-zone": "c" }])("headers %j keep all endpoints", (headers) => {
  expect(instance.screen!(buildRequest({ headers }), endpoints)).toEqual(endpoints);
});
