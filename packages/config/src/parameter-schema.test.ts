import { describe, expect, test } from "vitest";
import { type JsonSchema, ParameterSchema } from "./parameter-schema.ts";

const describeOf = (schema: JsonSchema): string => new ParameterSchema(schema).describe(schema);

test.each<[JsonSchema, string]>([
  [{}, ""],
  [
    { type: "integer", exclusiveMinimum: 0, maximum: 9007199254740991, unit: "tokens", default: 64 },
    "integer > 0, tokens, default 64",
  ],
  [{ type: "number", minimum: 0, exclusiveMaximum: 1 }, "number >= 0 and < 1"],
  [{ type: "number" }, "number"],
  [{ type: "string", default: "" }, 'text, default ""'],
  [{ type: "string", pattern: "^a$" }, 'text like "^a$"'],
  [{ type: "boolean", default: false }, "true or false, default false"],
  [{ enum: ["a", 1, null] }, 'one of "a", 1, null'],
  [{ const: "x" }, '"x"'],
  [{ type: "array", default: [] }, "list, default []"],
  [{ type: "object" }, "map"],
  [{ type: ["string", "null"] }, "text or null"],
  [{ type: "exotic" }, "exotic"],
  [{ anyOf: [{ type: "string" }, { type: "integer", minimum: 1 }], default: 1 }, "text or integer >= 1, default 1"],
  [{ oneOf: [{ type: "string" }, { type: "string" }] }, "text"],
  [
    { $ref: "#/$defs/a~1b", default: 2, $defs: { "a/b": { type: "integer", unit: "blocks" } } },
    "integer, blocks, default 2",
  ],
  [{ $ref: "#/$defs/missing" }, ""],
  [{ $ref: "https://example.org/schema" }, ""],
  [{ anyOf: "nonsense", type: 5 }, ""],
])("%j is described as %j", (schema, text) => {
  expect(describeOf(schema)).toBe(text);
});

describe("shapes", () => {
  const shape = (schema: JsonSchema): unknown => {
    const found = new ParameterSchema(schema).objectShape(schema);
    return found === undefined ? undefined : { names: [...found.properties.keys()], others: found.others };
  };

  test.each<[string, JsonSchema, unknown]>([
    ["says nothing about maps", { type: "string" }, undefined],
    [
      "lists properties and refuses others",
      { properties: { a: {} }, additionalProperties: false },
      { names: ["a"], others: undefined },
    ],
    [
      "lists properties and is silent",
      { type: "object", properties: { a: true } },
      { names: ["a"], others: undefined },
    ],
    [
      "lists properties and takes others",
      { properties: { a: {} }, additionalProperties: true },
      { names: ["a"], others: {} },
    ],
    ["takes names by pattern", { properties: {}, patternProperties: { "^x": {} } }, { names: [], others: {} }],
    ["takes any map", { type: "object" }, { names: [], others: {} }],
    ["describes the others", { additionalProperties: { type: "string" } }, { names: [], others: { type: "string" } }],
    [
      "has alternatives",
      { anyOf: [{ properties: { a: {} } }, { properties: { b: {} } }, { type: "null" }] },
      { names: ["a", "b"], others: undefined },
    ],
    [
      "adds to its parts",
      { properties: { a: {} }, allOf: [{ properties: { b: {} } }] },
      { names: ["a", "b"], others: undefined },
    ],
  ])("a schema that %s", (_, schema, expected) => {
    expect(shape(schema)).toEqual(expected);
  });
});

test("paths lead through maps, lists and tuples", () => {
  const schema: JsonSchema = {
    properties: {
      list: { type: "array", items: { properties: { id: { type: "integer" } } } },
      pair: { type: "array", prefixItems: [{ type: "string" }], items: { type: "boolean" } },
      free: { additionalProperties: { const: 1 } },
    },
  };
  const whole = new ParameterSchema(schema);
  expect(whole.at(["list", 3, "id"])).toEqual({ type: "integer" });
  expect([whole.at(["pair", 0]), whole.at(["pair", 1])]).toEqual([{ type: "string" }, { type: "boolean" }]);
  expect(whole.at(["free", "anything"])).toEqual({ const: 1 });
  expect(whole.at(["nowhere", "at", 1, "all"])).toEqual({});
});

test.each<[JsonSchema, boolean]>([
  [{}, true],
  [{ type: "null" }, true],
  [{ type: ["integer", "null"] }, true],
  [{ anyOf: [{ type: "integer" }, { type: "null" }] }, true],
  [{ enum: ["a", null] }, true],
  [{ const: null }, true],
  [{ type: "integer" }, false],
  [{ enum: ["a"] }, false],
  [{ const: "a" }, false],
])("%j admits null: %s", (schema, admits) => {
  expect(new ParameterSchema(schema).admitsNull(schema)).toBe(admits);
});

test("schemas that refer to themselves come to an end", () => {
  const loop: JsonSchema = { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } };
  expect(describeOf(loop)).toBe("");
  const nested: JsonSchema = { anyOf: [{ $ref: "#" }, { type: "string" }] };
  expect(describeOf(nested)).toBe("text");
});
