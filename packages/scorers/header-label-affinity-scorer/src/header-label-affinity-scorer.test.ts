import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  monotoneIn,
  pluginContract,
  scorerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import headerLabelAffinityScorer from "./index.ts";

const params = { headerName: "X-Zone", labelKey: "zone" };
const zones = fc.constantFrom("a", "b", "");
const labels = fc.oneof(
  fc.constant({}),
  zones.map((zone) => ({ zone })),
);
const request = () =>
  fc.oneof(
    fc.constant({}),
    zones.map((zone) => ({ headers: { "x-zone": zone } })),
  );

pluginContract(headerLabelAffinityScorer, { testFile: import.meta.url, params });
scorerContract(headerLabelAffinityScorer, { params, labels, request });
describe("the request's header", () =>
  monotoneIn(
    headerLabelAffinityScorer,
    {
      name: "header that names the endpoint's label",
      request: (endpoints, index) => {
        const own = endpoints[index]!.metadata.labels["zone"];
        return fc.constant([
          { headers: { "x-zone": "elsewhere" } },
          { headers: own === undefined ? {} : { "x-zone": own } },
        ] as const);
      },
    },
    { params, labels },
  ));

type Labels = Readonly<Record<string, string>>;

function scores(options: unknown, headers: Labels, ...endpointLabels: readonly Labels[]): number[] {
  const { instance } = buildPlugin(headerLabelAffinityScorer, { params: options });
  const out = new Float64Array(endpointLabels.length);
  const endpoints = endpointLabels.map((each, slot) => buildEndpoint(slot, { labels: each }));
  instance.score!(buildRequest({ headers }), endpoints, out);
  return [...out];
}

// Source: spec scheduling-plugins C8.
test("1 where the label equals the header, else 0", () => {
  expect(scores(params, { "x-zone": "a" }, { zone: "a" }, { zone: "b" }, {}, { other: "a" })).toEqual([1, 0, 0, 0]);
});

test("without the header all get 0", () => {
  expect(scores(params, {}, { zone: "a" }, { zone: "" }, {})).toEqual([0, 0, 0]);
});

test("the values are compared as they stand", () => {
  expect(scores(params, { "x-zone": "A" }, { zone: "a" }, { zone: "A" }, { zone: " A" })).toEqual([0, 1, 0]);
});

test("an empty header asks for nothing: it equals no label, not even an empty one", () => {
  expect(scores(params, { "x-zone": "" }, { zone: "" }, {})).toEqual([0, 0]);
});

test("a label called like a member of every object is a label like others", () => {
  const options = { headerName: "x-a", labelKey: "constructor" };
  expect(scores(options, { "x-a": "1" }, { constructor: "1" }, {})).toEqual([1, 0]);
});

test.each([
  { refused: {}, problem: /headerName: .*\n?.*labelKey: /s },
  { refused: { headerName: "", labelKey: "zone" }, problem: /headerName: must be the name of a header/ },
  { refused: { headerName: "x zone", labelKey: "zone" }, problem: /headerName: must be the name of a header/ },
  { refused: { headerName: "x-zone", labelKey: "" }, problem: /labelKey/ },
  { refused: { headerName: "x-zone" }, problem: /labelKey/ },
  { refused: { ...params, header: "x" }, problem: /header/ },
])("$refused is refused", ({ refused, problem }) => {
  expect(() => buildPlugin(headerLabelAffinityScorer, { params: refused })).toThrow(problem);
});
