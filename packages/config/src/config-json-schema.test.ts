import { describe, expect, test } from "vitest";
import { z } from "zod";
import { FakePlugins, usualPlugins } from "../test/fake-plugins.ts";
import { configJsonSchema } from "./index.ts";

/** The part of a schema at a path. */
function at(schema: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((part, step) => (part as Readonly<Record<string, unknown>> | undefined)?.[step], schema);
}

/** What a type's parameters refer to. */
function rule(schema: unknown, type: string): { readonly names: unknown; readonly parameters: unknown } | undefined {
  const rules = at(schema, "properties", "plugins", "items", "allOf") as readonly unknown[];
  return rules
    .map((one) => ({
      names: at(one, "if", "properties", "type", "enum") as readonly string[],
      parameters: at(one, "then", "properties", "parameters"),
    }))
    .find(({ names }) => names.includes(type));
}

describe("schema of configuration files", () => {
  const schema = configJsonSchema(usualPlugins().definitions);

  test("it is JSON and the same however the definitions are ordered", () => {
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
    expect(configJsonSchema(usualPlugins().definitions.toReversed())).toEqual(schema);
  });

  test("it knows the fields and no others", () => {
    expect(Object.keys(at(schema, "properties") as object)).toEqual([
      "apiVersion",
      "kind",
      "featureGates",
      "plugins",
      "schedulingProfiles",
      "dataLayer",
      "flowControl",
      "requestHandler",
      "saturationDetector",
      "parser",
    ]);
    expect(at(schema, "additionalProperties")).toBe(false);
  });

  test("it offers each type with what it does, and admits others", () => {
    const types = at(schema, "properties", "plugins", "items", "properties", "type", "anyOf") as readonly object[];
    expect(types).toContainEqual({ const: "queue-scorer", description: "Fake queue-scorer." });
    expect(types.at(-1)).toEqual({ pattern: "." });
  });

  test("it ties parameters to the type and its former names", () => {
    expect(rule(schema, "by-label-selector")).toEqual({
      names: ["label-selector-filter", "by-label-selector"],
      parameters: { anyOf: [{ $ref: "#/$defs/label-selector-filter" }, { type: "null" }] },
    });
    expect(at(schema, "$defs", "prefix-cache-scorer", "properties", "matchLengthScaleTokens")).toMatchObject({
      type: "integer",
      exclusiveMinimum: 0,
      default: 8192,
      unit: "tokens",
    });
    expect(at(schema, "$defs", "prefix-cache-scorer", "$schema")).toBeUndefined();
  });

  test("it allows no parameters where there are none", () => {
    expect(rule(schema, "queue-scorer")?.parameters).toEqual({ type: ["object", "null"], maxProperties: 0 });
  });

  test("references inside of a plugin's schema lead to where its parts stand", () => {
    interface Tree {
      readonly children?: readonly Tree[] | undefined;
    }
    const tree: z.ZodType<Tree> = z.strictObject({
      get children() {
        return z.array(tree).optional();
      },
    });
    const shared = z.strictObject({ id: z.string() }).meta({ id: "shared~part" });
    const fakes = new FakePlugins()
      .add("@acme/tree-filter", "filter", { params: tree })
      .add("pair-filter", "filter", { params: z.strictObject({ a: shared, b: shared, tree: tree.optional() }) });
    const whole = configJsonSchema(fakes.definitions);
    const references = [...JSON.stringify(whole).matchAll(/"\$ref":"([^"]*)"/g)].map((match) => match[1] ?? "");
    expect(references.length).toBeGreaterThan(3);
    for (const reference of references) {
      const steps = reference
        .split("/")
        .slice(1)
        .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
      expect([reference, typeof at(whole, ...steps)]).toEqual([reference, "object"]);
    }
  });

  test("parameters that JSON Schema cannot express are left open", () => {
    const fakes = new FakePlugins().add("odd", "filter", { params: z.strictObject({ a: z.custom<string>() }) });
    expect(rule(configJsonSchema(fakes.definitions), "odd")?.parameters).toEqual({});
  });
});
