import { type AnyPluginDefinition, definePlugin, type ParamsIssue, type PluginInstance } from "@pointsman/core";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { places, report, usualPlugins } from "../test/fake-plugins.ts";
import type { LoadOutcome } from "./index.ts";

/** Loads one plugin with a schema; `parameters` is YAML on one line from column 13 of line 3. */
function loadWith(params: z.ZodType, parameters: string): Promise<LoadOutcome> {
  return usualPlugins()
    .add("probe", "admitter", { params })
    .load(`plugins:\n- type: probe\n  parameters: ${parameters}\n`);
}

/** What the plugin was created with, and what is written back. */
function created(outcome: LoadOutcome): { readonly params: unknown; readonly written: unknown } {
  expect(report(outcome)).toBe("");
  const instance = outcome.graph?.plugins[0]?.instance as { readonly params?: unknown };
  return { params: instance.params, written: outcome.effective?.plugins[0]?.parameters };
}

const schema = z.strictObject({
  blockSizeTokens: z.int().gt(0).meta({ unit: "tokens" }).default(64),
  mode: z.enum(["fast", "exact"]).default("fast"),
  label: z.string().optional(),
  ratio: z.number().min(0).max(1).nullable().default(null),
  nested: z
    .strictObject({ deep: z.boolean().default(false), items: z.array(z.strictObject({ id: z.string() })).default([]) })
    .prefault({}),
  labels: z.record(z.string(), z.string()).default({}),
});

describe("values", () => {
  test.each(["", "null", "~", "{}"])(
    "no parameters (%j) give the defaults, which are written out",
    async (parameters) => {
      const expected = {
        blockSizeTokens: 64,
        mode: "fast",
        ratio: null,
        nested: { deep: false, items: [] },
        labels: {},
      };
      expect(created(await loadWith(schema, parameters))).toEqual({ params: expected, written: expected });
    },
  );

  test("given values are handed over; null is as good as not given, except where null is a value", async () => {
    const { params } = created(
      await loadWith(
        schema,
        "{blockSizeTokens: null, mode: exact, label: null, ratio: null, nested: {deep: null}, labels: {a: b}}",
      ),
    );
    expect(params).toMatchObject({
      blockSizeTokens: 64,
      mode: "exact",
      ratio: null,
      nested: { deep: false },
      labels: { a: "b" },
    });
    expect(params).not.toHaveProperty("label");
  });

  test("a default that is kept in another unit than it is written in is not written back", async () => {
    const converting = z.strictObject({
      timeoutMs: z
        .number()
        .transform((seconds) => seconds * 1000)
        .default(5000),
      interval: z
        .string()
        .default("2s")
        .transform((text) => Number.parseFloat(text) * 1000),
    });
    // JSON Schema would say 5000 for a parameter in seconds.
    expect(created(await loadWith(converting, "{}"))).toEqual({
      params: { timeoutMs: 5000, interval: 2000 },
      written: { interval: "2s" },
    });
  });

  test("values a schema library cannot compare by content are no obstacle", async () => {
    const compiled = z.strictObject({
      pattern: z
        .string()
        .default("^a")
        .transform((text) => new RegExp(text)),
      n: z.int().default(1),
    });
    expect(created(await loadWith(compiled, "{}")).written).toEqual({ pattern: "^a", n: 1 });
  });

  test("a schema that JSON Schema cannot express still checks", async () => {
    const custom = z.strictObject({ id: z.custom<string>((value) => value === "x", "must be x") });
    expect(created(await loadWith(custom, "{id: x}"))).toEqual({ params: { id: "x" }, written: { id: "x" } });
    expect(places(await loadWith(custom, "{id: y}"))).toEqual(["3:20 BAD_PARAM"]);
    expect(places(await loadWith(custom, "{id: x, other: 1}"))).toEqual(["3:23 UNKNOWN_PARAM"]);
  });
});

describe("names", () => {
  test("an unknown name is refused at its key, with the nearest one described", async () => {
    const outcome = await loadWith(schema, "{blokSizeTokens: 16}");
    expect(places(outcome)).toEqual(["3:16 UNKNOWN_PARAM"]);
    expect(report(outcome)).toBe(
      'epp.yaml:3:16 error EPP_CONFIG_UNKNOWN_PARAM  plugins[0] "probe" has no parameter "blokSizeTokens".\n' +
        '    Nearest: "blockSizeTokens" (integer > 0, tokens, default 64). ' +
        "Parameters: blockSizeTokens, mode, label, ratio, nested, labels. See docs/errors.md#epp_config_unknown_param",
    );
    expect(outcome.problems[0]?.path).toBe("plugins[0].parameters.blokSizeTokens");
  });

  test("unknown names inside of maps and lists are refused with their way", async () => {
    const outcome = await loadWith(
      schema,
      "{nested: {depe: true, items: [{id: a}, {id: b, x: 1}]}, labels: {anything: goes}}",
    );
    expect(places(outcome)).toEqual(["3:25 UNKNOWN_PARAM", "3:62 UNKNOWN_PARAM"]);
    expect(outcome.problems.map(({ message }) => message)).toEqual([
      'plugins[0] "probe" has no parameter "nested.depe".',
      'plugins[0] "probe" has no parameter "nested.items[1].x".',
    ]);
  });

  test("an unknown name does not hide wrong values beside it", async () => {
    expect(places(await loadWith(schema, "{nope: 1, mode: slow, blockSizeTokens: 0}"))).toEqual([
      "3:16 UNKNOWN_PARAM",
      "3:31 BAD_PARAM",
      "3:54 BAD_PARAM",
    ]);
  });

  test("a misspelled name is one problem: its value is checked as that of the nearest name", async () => {
    const required = z.strictObject({ headerName: z.string() });
    expect(places(await loadWith(required, "{haederName: x}"))).toEqual(["3:16 UNKNOWN_PARAM"]);
    expect(places(await loadWith(required, "{haederName: 5}"))).toEqual(["3:16 UNKNOWN_PARAM", "3:28 BAD_PARAM"]);
    expect(places(await loadWith(required, "{haederName: 5, headerName: x}"))).toEqual(["3:16 UNKNOWN_PARAM"]);
  });

  test("a name in other case is read, with a warning that gives the right one", async () => {
    const outcome = await loadWith(schema, "{BlockSizeTokens: 16, nested: {DEEP: true}}");
    expect(places(outcome)).toEqual(["3:16 PARAM_CASE", "3:46 PARAM_CASE"]);
    expect(outcome.problems[0]?.help).toBe('Use "blockSizeTokens".');
    expect(outcome.effective?.plugins[0]?.parameters).toMatchObject({ blockSizeTokens: 16, nested: { deep: true } });
  });

  test("a wrong value under a name in other case is found where it stands", async () => {
    expect(places(await loadWith(schema, "{BlockSizeTokens: -1}"))).toEqual(["3:16 PARAM_CASE", "3:33 BAD_PARAM"]);
  });

  test.each(["{mode: fast, Mode: exact}", "{Mode: fast, mode: exact}", "{MODE: fast, Mode: exact}"])(
    "%s gives a parameter twice",
    async (parameters) => {
      const codes = places(await loadWith(schema, parameters)).map((place) => place.split(" ")[1]);
      expect(codes.filter((code) => code === "DUPLICATE_FIELD")).toHaveLength(1);
    },
  );

  test("keys of free maps keep their case", async () => {
    const { params } = created(await loadWith(schema, "{labels: {App: a, app: b, constructor: c}}"));
    expect(params).toMatchObject({ labels: { App: "a", app: "b", constructor: "c" } });
  });

  test("of alternatives, all names are known, and those that do not fit the chosen one are refused", async () => {
    const union = z.strictObject({
      algorithm: z.discriminatedUnion("type", [
        z.strictObject({ type: z.literal("threshold"), value: z.number() }),
        z.strictObject({ type: z.literal("none") }),
      ]),
    });
    expect(created(await loadWith(union, "{algorithm: {type: none}}")).params).toEqual({ algorithm: { type: "none" } });
    expect(places(await loadWith(union, "{algorithm: {type: none, value: 1}}"))).toEqual(["3:40 UNKNOWN_PARAM"]);
    expect(places(await loadWith(union, "{algorithm: {type: threshold, valeu: 1}}"))).toEqual(["3:45 UNKNOWN_PARAM"]);
  });

  test("a schema that would drop unknown names in silence does not get the chance", async () => {
    expect(places(await loadWith(z.object({ a: z.string().optional() }), "{b: 1}"))).toEqual(["3:16 UNKNOWN_PARAM"]);
  });

  test("a schema that takes anything gets everything", async () => {
    expect(created(await loadWith(z.looseObject({ a: z.string().optional() }), "{b: {c: [1]}}")).params).toEqual({
      b: { c: [1] },
    });
  });
});

describe("refusals", () => {
  test.each([
    [
      "{blockSizeTokens: -1}",
      "3:33",
      "is -1: too small: expected number to be >0.",
      "Allowed: integer > 0, tokens, default 64.",
    ],
    [
      "{blockSizeTokens: 1.5}",
      "3:33",
      "is 1.5: expected int, received number.",
      "Allowed: integer > 0, tokens, default 64.",
    ],
    [
      "{blockSizeTokens: lots}",
      "3:33",
      'is "lots": expected number, received string.',
      "Allowed: integer > 0, tokens, default 64.",
    ],
    [
      "{blockSizeTokens: .nan}",
      "3:33",
      "is NaN: expected number, received NaN.",
      "Allowed: integer > 0, tokens, default 64.",
    ],
    [
      "{mode: slow}",
      "3:22",
      'is "slow": expected one of "fast"|"exact".',
      'Allowed: one of "fast", "exact", default "fast".',
    ],
    ["{label: 5}", "3:23", "is 5: expected string, received number.", "Allowed: text."],
    [
      "{ratio: 2}",
      "3:23",
      "is 2: too big: expected number to be <=1.",
      "Allowed: number >= 0 and <= 1 or null, default null.",
    ],
    [
      "{nested: {deep: maybe}}",
      "3:31",
      'is "maybe": expected boolean, received string.',
      "Allowed: true or false, default false.",
    ],
    ["{nested: 5}", "3:24", "is 5: expected object, received number.", "Allowed: map, default {}."],
    ["{labels: [a]}", "3:24", "expected record, received array.", "Allowed: map, default {}."],
  ])("%s is refused at %s", async (parameters, place, message, help) => {
    const outcome = await loadWith(schema, parameters);
    expect(places(outcome)).toEqual([`${place} BAD_PARAM`]);
    expect(outcome.problems[0]?.message).toMatch(/^plugins\[0\] "probe": parameter "[\w.]+":? /);
    expect(outcome.problems[0]?.message.endsWith(message)).toBe(true);
    expect(outcome.problems[0]?.help).toBe(help);
  });

  test.each(["[1]", "text", "5"])("parameters that are no map (%s) are refused", async (parameters) => {
    const outcome = await loadWith(schema, parameters);
    expect(places(outcome)).toEqual(["3:15 BAD_PARAM"]);
    expect(outcome.problems[0]?.message).toContain('plugins[0] "probe": parameters: expected object');
  });

  test("a missing parameter is asked for, at the type without parameters, else at the map it belongs to", async () => {
    const required = z.strictObject({ path: z.string(), inner: z.strictObject({ id: z.int().min(1) }).optional() });
    const outcome = await loadWith(required, "");
    expect(places(outcome)).toEqual(["2:9 MISSING_PARAM"]);
    expect(outcome.problems[0]).toMatchObject({
      message: 'plugins[0] "probe" needs the parameter "path".',
      help: "Allowed: text.",
    });
    expect(places(await loadWith(required, "{path: a, inner: {}}"))).toEqual(["3:32 MISSING_PARAM"]);
  });

  test("rules across parameters are told where the parameter stands, or the parameters do", async () => {
    const crossed = z
      .strictObject({ low: z.number().default(0), high: z.number().default(0) })
      .superRefine(({ low, high }, context) => {
        if (low > high) context.addIssue({ code: "custom", message: "must be at least low", path: ["high"] });
        if (low === 7) context.addIssue("must not add up to seven");
      });
    expect(places(await loadWith(crossed, "{high: 1, low: 2}"))).toEqual(["3:22 BAD_PARAM"]);
    const outcome = await loadWith(crossed, "{low: 7}");
    expect(outcome.problems.map(({ message }) => message)).toEqual([
      'plugins[0] "probe": parameter "high": must be at least low.',
      'plugins[0] "probe": parameters: must not add up to seven.',
    ]);
  });

  test("long and unprintable values are shown in short, on one line", async () => {
    const outcome = await loadWith(schema, `{mode: "${"x".repeat(5000)}\\u001b[31m\\u202e"}`);
    expect(outcome.problems[0]?.message.length).toBeLessThan(300);
    expect(report(await loadWith(schema, '{mode: "a\\n\\u001b\\u202eb"}'))).toContain('is "a\\n\\u001b\\u{202e}b"');
  });
});

describe("plugins without parameters", () => {
  test.each(["", "null", "{}"])("%j is fine", async (parameters) => {
    const outcome = await usualPlugins().load(`plugins: [{type: queue-scorer, parameters: ${parameters}}]`);
    expect(report(outcome)).toBe("");
  });

  test.each(["{a: 1}", "[]", "5"])("%s has no effect and is warned of", async (parameters) => {
    const outcome = await usualPlugins().load(`plugins: [{type: queue-scorer, parameters: ${parameters}}]`);
    expect(places(outcome)).toEqual(["1:44 PARAMS_IGNORED"]);
    expect(outcome.effective?.plugins[0]).toEqual({ name: "queue-scorer", type: "queue-scorer" });
  });
});

describe("schemas of other libraries", () => {
  function foreign(validate: (value: unknown) => unknown): AnyPluginDefinition {
    return definePlugin<unknown>({
      type: "foreign",
      kind: "admitter",
      stability: "beta",
      summary: "Fake.",
      params: {
        "~standard": {
          version: 1,
          vendor: "foreign",
          // What a library returns is its own affair: here also things it must not return.
          validate: validate as (value: unknown) => { readonly issues: readonly ParamsIssue[] },
          jsonSchema: {
            input: () => {
              throw new Error("not supported");
            },
          },
        },
      },
      create: (): PluginInstance => ({ admitRequest: () => undefined }),
    });
  }
  const text = "plugins:\n- type: foreign\n  parameters: {a: {b: 1}}\n";

  test("issues with keys as objects, or without a path, are placed", async () => {
    const issues = [{ message: "bad b", path: [{ key: "a" }, { key: "b" }] }, { message: "bad all" }];
    const outcome = await usualPlugins()
      .addDefinition(foreign(async () => ({ issues })))
      .load(text);
    expect(places(outcome)).toEqual(["3:15 BAD_PARAM", "3:23 BAD_PARAM"]);
  });

  test("a check that throws is a broken plugin", async () => {
    const broken = foreign(() => {
      throw new Error("no luck");
    });
    const outcome = await usualPlugins().addDefinition(broken).load(text);
    expect(places(outcome)).toEqual(["2:9 BROKEN_PLUGIN"]);
    expect(outcome.problems[0]?.message).toBe('plugins[0] "foreign" cannot check its parameters: no luck.');
  });

  test("an asynchronous check is awaited", async () => {
    const outcome = await usualPlugins()
      .addDefinition(foreign(async (value) => ({ value })))
      .load(text);
    expect(report(outcome)).toBe("");
    expect(outcome.effective?.plugins[0]?.parameters).toEqual({ a: { b: 1 } });
  });
});
