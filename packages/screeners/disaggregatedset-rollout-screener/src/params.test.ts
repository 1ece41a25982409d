import { buildPlugin } from "@pointsman/testkit";
import { expect, test } from "vitest";
import rolloutScreener from "./index.ts";

const gate = { mode: "sum", requireRoles: { values: ["prefill", "decode"] } };
const selector = {
  name: "revision",
  headerName: "X-Disagg-Revision",
  labelKey: "disaggregatedset.x-k8s.io/revision",
  mode: "strict",
};
const params = { scope: { labelSelector: "app=x" }, headerSelectors: [selector], revisionGating: gate };

test("complete parameters are accepted", () => {
  expect(() => buildPlugin(rolloutScreener, { params })).not.toThrow();
});

test.each([
  [{}, "scope"],
  [{ ...params, scope: { labelSelector: "" } }, "scope.labelSelector"],
  [{ ...params, scope: { labelSelector: "a b" } }, "scope.labelSelector: has a requirement that cannot be read"],
  [{ ...params, revisionGating: undefined }, "revisionGating"],
  [{ ...params, revisionGating: { mode: "all" } }, "revisionGating.mode"],
  [
    { ...params, revisionGating: { mode: "sum" } },
    "revisionGating.requireRoles: mode sum needs at least one role in requireRoles.values",
  ],
  [{ ...params, revisionGating: { ...gate, requireRoles: { values: [] } } }, "revisionGating.requireRoles"],
  [{ ...params, revisionGating: { ...gate, requireRoles: { values: [""] } } }, "requireRoles.values.0"],
  [
    { ...params, revisionGating: { ...gate, requireRoles: { values: ["x", "x"] } } },
    'revisionGating.requireRoles.values.1: role "x" is listed twice',
  ],
  [{ ...params, headerSelectors: [{ ...selector, mode: "hard" }] }, "headerSelectors.0.mode"],
  [{ ...params, headerSelectors: [{ ...selector, headerName: "a b" }] }, "headerSelectors.0.headerName"],
  [{ ...params, headerSelectors: [{ ...selector, labelKey: "" }] }, "headerSelectors.0.labelKey"],
  [
    { ...params, headerSelectors: [selector, { ...selector, headerName: "x-other" }] },
    'headerSelectors.1.name: "revision" stands in another selector',
  ],
  [
    { ...params, headerSelectors: [selector, { ...selector, name: "other", headerName: "x-DISAGG-revision" }] },
    'headerSelectors.1.headerName: "x-disagg-revision" stands in another selector',
  ],
  [{ ...params, scopes: {} }, "scopes"],
])("%j is refused", (given, problem) => {
  expect(() => buildPlugin(rolloutScreener, { params: given })).toThrow(problem);
});
