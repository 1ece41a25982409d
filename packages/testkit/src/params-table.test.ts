import { expect, test } from "vitest";
import { parameterRows, parametersTable } from "./params-table.ts";

const row = (property: Readonly<Record<string, unknown>>) => parameterRows({ properties: { p: property } })[0]!;

test.each([
  [{ type: "string" }, "string"],
  [{ type: "integer", minimum: 0 }, "integer ≥ 0"],
  [{ type: "number", exclusiveMinimum: 0, maximum: 1 }, "number > 0, ≤ 1"],
  [{ type: "integer", minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }, "integer"],
  [{ type: "integer", unit: "tokens" }, "integer, tokens"],
  [{ type: "boolean" }, "boolean"],
  [{ enum: ["a", "b"] }, "one of `a`, `b`"],
  [{ const: 5 }, "`5`"],
  [{ type: "array", items: { type: "string" } }, "list of string"],
  [{ type: "object", additionalProperties: { type: "integer" } }, "map of integer"],
  [{ type: "object" }, "map"],
  [{ type: "object", properties: {} }, "object"],
  [{ anyOf: [{ type: "string" }, { type: "null" }] }, "string or null"],
  [{}, "any"],
])("%j has the type %s", (property, type) => {
  expect(row(property).type).toBe(type);
});

test.each([
  [{ default: 5 }, "5"],
  [{ default: "200ms" }, "200ms"],
  [{ default: "" }, '""'],
  [{ default: false }, "false"],
  [{ default: [] }, "[]"],
  [{}, "none"],
])("%j has the default %s", (property, text) => {
  expect(row(property).defaultText).toBe(text);
});

test("a parameter that must be given is required", () => {
  expect(parameterRows({ properties: { p: {} }, required: ["p"] })[0]!.defaultText).toBe("required");
});

test("parameters inside objects and lists follow the one that holds them", () => {
  const inner = { type: "object", properties: { x: { type: "string" } }, required: ["x"] };
  const rows = parameterRows({ properties: { one: inner, many: { type: "array", items: inner } } });
  expect(rows.map(({ path, defaultText }) => [path, defaultText])).toEqual([
    ["one", "none"],
    ["one.x", "required"],
    ["many", "none"],
    ["many[].x", "required"],
  ]);
});

test("the table has a line for each parameter, and bars inside cells are escaped", () => {
  const rows = parameterRows({
    properties: { "a|b": { type: "string", default: "x|y", description: "This | that\nor so." } },
  });
  expect(parametersTable(rows)).toBe(
    [
      "| Parameter | Type   | Default | Meaning             |",
      "| --------- | ------ | ------- | ------------------- |",
      "| `a\\|b`    | string | `x\\|y`  | This \\| that or so. |",
    ].join("\n"),
  );
});
