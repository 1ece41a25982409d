import { describe, expect, test } from "vitest";
import { places, report, usualPlugins } from "../test/fake-plugins.ts";
import type { LoadOutcome } from "./index.ts";

const parsers = (outcome: LoadOutcome): readonly string[] | undefined => outcome.graph?.parsers.map(({ name }) => name);

describe("parsers", () => {
  test("without a list the default ones are used", async () => {
    const outcome = await usualPlugins().load("{}");
    expect(parsers(outcome)).toEqual(["openai-parser", "anthropic-parser", "vllmhttp-parser", "passthrough-parser"]);
  });

  test("of the default ones, those that are not known are left out in silence, those not installed with a warning", async () => {
    const fakes = usualPlugins().remove("vllmhttp-parser");
    fakes.failures.set("anthropic-parser", { kind: "not-installed", message: "not in node_modules" });
    const outcome = await fakes.load("{}");
    expect(places(outcome)).toEqual(["1:1 DEFAULT_NOT_INSTALLED"]);
    expect(outcome.problems[0]?.help).toBe(
      "Install the npm package @pointsman/anthropic-parser. Or say in requestHandler.parsers what to use.",
    );
    expect(parsers(outcome)).toEqual(["openai-parser", "passthrough-parser"]);
  });

  test("a default one that cannot be loaded is an error", async () => {
    const fakes = usualPlugins();
    fakes.failures.set("openai-parser", { kind: "broken", message: "oops" });
    expect(places(await fakes.load("{}"))).toEqual(["1:1 BROKEN_PLUGIN"]);
  });

  test("a declared parser of a default type takes the place of the default one", async () => {
    const outcome = await usualPlugins().load("plugins: [{type: anthropic-parser, name: messages}]");
    expect(report(outcome)).toBe("");
    expect(parsers(outcome)).toEqual(["openai-parser", "messages", "vllmhttp-parser", "passthrough-parser"]);
  });

  test("a reference may be a name, a type that is declared under another name, or a type that is not declared", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: openai-parser, name: mine}, {type: anthropic-parser}]\nrequestHandler: {parsers: [{pluginRef: anthropic-parser}, {pluginRef: openai-parser}, {pluginRef: vertexai-parser}]}",
    );
    expect(report(outcome)).toBe("");
    expect(parsers(outcome)).toEqual(["anthropic-parser", "mine", "vertexai-parser"]);
  });

  test("a parser after one that takes everything, and a second one of a type, never get a request and are warned of", async () => {
    const outcome = await usualPlugins().load(`
plugins: [{type: openai-parser, name: a}, {type: openai-parser, name: b}, {type: passthrough-parser}]
requestHandler:
  parsers:
  - pluginRef: a
  - pluginRef: b
  - pluginRef: a
  - pluginRef: passthrough-parser
  - pluginRef: anthropic-parser
  - pluginRef: b
`);
    expect(places(outcome)).toEqual([
      "6:16 UNREACHED_PARSER",
      "7:16 UNREACHED_PARSER",
      "9:16 UNREACHED_PARSER",
      "10:16 UNREACHED_PARSER",
    ]);
    expect(parsers(outcome)).toEqual(["a", "passthrough-parser"]);
    expect(outcome.graph?.plugins.map(({ name }) => name)).not.toContain("anthropic-parser");
  });

  test.each([
    ["nobody", "UNDEFINED_REF"],
    ["decode-filter", "WRONG_ROLE"],
    ["queue-scorer", "WRONG_ROLE"],
  ])("a reference to %s gives %s", async (ref, code) => {
    const outcome = await usualPlugins().load(
      `plugins: [{type: decode-filter}]\nrequestHandler:\n  parsers:\n  - pluginRef: ${ref}\n`,
    );
    expect(places(outcome)).toEqual([`4:16 ${code}`]);
  });
});

describe("saturation detector", () => {
  const detector = (outcome: LoadOutcome): string | undefined => outcome.graph?.saturationDetector?.name;

  test("the default one is added where it is known", async () => {
    expect(detector(await usualPlugins().load("{}"))).toBe("utilization-detector");
    const without = await usualPlugins().remove("utilization-detector").load("{}");
    expect(report(without)).toBe("");
    expect(without.graph?.saturationDetector).toBeUndefined();
    expect(without.effective).not.toHaveProperty("flowControl");
  });

  test("where it is known and not installed, that is a warning", async () => {
    const fakes = usualPlugins();
    fakes.failures.set("utilization-detector", { kind: "not-installed", message: "not in node_modules" });
    const outcome = await fakes.load("{}");
    expect(places(outcome)).toEqual(["1:1 DEFAULT_NOT_INSTALLED"]);
    expect(outcome.graph?.saturationDetector).toBeUndefined();
  });

  test("a declared one of the default type is used, whatever its name", async () => {
    for (const section of ["", "flowControl: {saturationDetector: {pluginRef: utilization-detector}}"]) {
      const outcome = await usualPlugins().load(`plugins: [{type: utilization-detector, name: sat}]\n${section}`);
      expect(report(outcome)).toBe("");
      expect(detector(outcome)).toBe("sat");
    }
  });

  test("the default one may be asked for without being declared, and then has to be there", async () => {
    const text = "flowControl: {saturationDetector: {pluginRef: utilization-detector}}";
    expect(detector(await usualPlugins().load(text))).toBe("utilization-detector");
    expect(places(await usualPlugins().remove("utilization-detector").load(text))).toEqual(["1:47 NOT_INSTALLED"]);
  });

  test.each([
    ["concurrency-detector", "UNDEFINED_REF"],
    ["decode-filter", "WRONG_ROLE"],
  ])("a reference to %s gives %s", async (ref, code) => {
    const outcome = await usualPlugins().load(
      `plugins: [{type: decode-filter}]\nflowControl:\n  saturationDetector:\n    pluginRef: ${ref}\n`,
    );
    expect(places(outcome)).toEqual([`4:16 ${code}`]);
  });
});
