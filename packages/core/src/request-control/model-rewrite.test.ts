import { expect, test } from "vitest";
import { buildRequest } from "../../test/testkit.ts";
import type { ParsedRequest } from "../plugin/parser.ts";
import { applyModelRewrite, type ModelRewrites } from "./model-rewrite.ts";

const rewritable: Partial<ParsedRequest> = { rewriteModel: () => [] };
const rules: ModelRewrites = {
  choose: (model) => (model === "base" ? { rewrite: "rule-1", targetModel: "base-v2" } : undefined),
};
const header = "x-llm-d-model-name-rewrite";
const oldHeader = "x-gateway-model-name-rewrite";

test.each([
  { name: "the body's model stays without header and rule", headers: {}, model: "other", target: "other" },
  { name: "the header beats the body", headers: { [header]: "asked" }, model: "other", target: "asked" },
  { name: "the deprecated header works", headers: { [oldHeader]: "asked" }, model: "other", target: "asked" },
  {
    name: "an empty current header hides the deprecated one",
    headers: { [header]: "", [oldHeader]: "asked" },
    model: "other",
    target: "other",
  },
  { name: "a rule beats the body", headers: {}, model: "base", target: "base-v2" },
  { name: "a rule beats the header", headers: { [header]: "asked" }, model: "base", target: "base-v2" },
  {
    name: "the header gives a body without a model its target",
    headers: { [header]: "asked" },
    model: undefined,
    target: "asked",
  },
  { name: "UTF-8 in the header is text", headers: { [header]: "m-\u00c3\u00a4" }, model: "other", target: "m-\u00e4" },
  { name: "Latin-1 in the header is text", headers: { [header]: "m-\u00e4" }, model: "other", target: "m-\u00e4" },
])("$name", ({ headers, model, target }) => {
  const request = buildRequest({ headers, body: { ...rewritable, model } });
  expect(applyModelRewrite(request, rules)).toBeUndefined();
  expect(request.targetModel).toBe(target);
  expect(request.incomingModel).toBe(model ?? "");
});

test("a rule may choose for a body without a model", () => {
  const request = buildRequest({ body: { ...rewritable, model: undefined } });
  expect(applyModelRewrite(request, { choose: () => ({ rewrite: "all", targetModel: "any" }) })).toBeUndefined();
  expect(request.targetModel).toBe("any");
});

test("no model anywhere is a bad request", () => {
  const request = buildRequest({ body: { ...rewritable, model: undefined } });
  expect(applyModelRewrite(request, rules)).toMatchObject({
    code: "BadRequest",
    message: "model not found in request body",
  });
});

test("a body whose model cannot be changed keeps it: the header is a scheduling target only and rules do not apply", () => {
  const request = buildRequest({ headers: { [header]: "asked" }, body: { model: "base" } });
  expect(applyModelRewrite(request, rules)).toBeUndefined();
  expect(request.targetModel).toBe("asked");
  const plain = buildRequest({ body: { model: "base" } });
  expect(applyModelRewrite(plain, rules)).toBeUndefined();
  expect(plain.targetModel).toBe("base");
});

test("a body that names no model by its format needs none", () => {
  const request = buildRequest({ body: { model: undefined } });
  expect(applyModelRewrite(request, undefined)).toBeUndefined();
  expect(request.targetModel).toBe("");
});
