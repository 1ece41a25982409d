import { describe, expect, test } from "vitest";
import { places, report, usualPlugins } from "../test/fake-plugins.ts";
import type { LoadOutcome } from "./index.ts";

const sources = (outcome: LoadOutcome): readonly string[] | undefined =>
  outcome.graph?.sources.map(
    ({ source, extractors }) => `${source.name}: ${extractors.map(({ name }) => name).join(" ")}`,
  );

const withSources = (...lines: readonly string[]): string =>
  `plugins:
- {type: metrics-data-source}
- {type: metrics-data-source, name: other}
- {type: core-metrics-extractor}
- {type: core-metrics-extractor, name: more}
- {type: gpu-extractor}
- {type: decode-filter}
- {type: endpoint-notification-source}
- {type: precise-prefix-cache-producer}
dataLayer:
  sources:
${lines.map((line) => `  - ${line}\n`).join("")}`;

const fakes = () => usualPlugins().add("gpu-extractor", "extractor", { payload: "json" });
const errors = (outcome: LoadOutcome): readonly string[] =>
  places(outcome).filter((place) => !/UNUSED_PLUGIN|PREFIX/.test(place));

describe("sources", () => {
  test("each source polls for its extractors", async () => {
    const outcome = await fakes().load(
      withSources(
        "{pluginRef: metrics-data-source, extractors: [{pluginRef: core-metrics-extractor}]}",
        "{pluginRef: other, extractors: [{pluginRef: core-metrics-extractor}]}",
      ),
    );
    expect(errors(outcome)).toEqual([]);
    expect(sources(outcome)).toEqual(["metrics-data-source: core-metrics-extractor", "other: core-metrics-extractor"]);
  });

  test("a source of endpoint events is accepted, and needs no wiring", async () => {
    const outcome = await fakes().load(
      withSources(
        "{pluginRef: endpoint-notification-source, extractors: [{pluginRef: precise-prefix-cache-producer}]}",
        "{pluginRef: metrics-data-source, extractors: [{pluginRef: core-metrics-extractor}]}",
      ),
    );
    expect(errors(outcome)).toEqual([]);
    expect(sources(outcome)).toEqual(["metrics-data-source: core-metrics-extractor"]);
    expect(outcome.effective?.dataLayer.sources[0]).toEqual({
      pluginRef: "endpoint-notification-source",
      extractors: [{ pluginRef: "precise-prefix-cache-producer" }],
    });
  });

  test.each([
    ["{pluginRef: nobody}", "12:17 UNDEFINED_REF"],
    ["{pluginRef: decode-filter}", "12:17 WRONG_ROLE"],
    ["{pluginRef: core-metrics-extractor}", "12:17 WRONG_ROLE"],
    ["{pluginRef: metrics-data-source}", "12:17 SOURCE_UNREAD"],
    ["{pluginRef: metrics-data-source, extractors: [{pluginRef: nobody}]}", "12:63 UNDEFINED_REF"],
    ["{pluginRef: metrics-data-source, extractors: [{pluginRef: decode-filter}]}", "12:63 WRONG_ROLE"],
    ["{pluginRef: metrics-data-source, extractors: [{pluginRef: precise-prefix-cache-producer}]}", "12:63 WRONG_ROLE"],
    ["{pluginRef: metrics-data-source, extractors: [{pluginRef: gpu-extractor}]}", "12:63 PAYLOAD_MISMATCH"],
    [
      "{pluginRef: metrics-data-source, extractors: [{pluginRef: more}, {pluginRef: core-metrics-extractor}]}",
      "12:82 DUPLICATE_EXTRACTOR",
    ],
    [
      "{pluginRef: metrics-data-source, extractors: [{pluginRef: more}, {pluginRef: more}]}",
      "12:82 DUPLICATE_EXTRACTOR",
    ],
    ["{pluginRef: endpoint-notification-source, extractors: [{pluginRef: more}]}", "12:72 WRONG_ROLE"],
  ])("%s gives %s", async (source, problem) => {
    const found = errors(await fakes().load(withSources(source)));
    // Where the wiring fails, the data of the extractors is missing as well, unless it is asked for nowhere else.
    expect(found.filter((place) => !place.endsWith("MISSING_PRODUCER"))).toEqual([problem]);
  });

  test("a source listed twice is refused", async () => {
    const source = "{pluginRef: metrics-data-source, extractors: [{pluginRef: core-metrics-extractor}]}";
    expect(errors(await fakes().load(withSources(source, source)))).toEqual(["13:17 DUPLICATE_SOURCE"]);
  });
});

describe("discovery", () => {
  test("a discovery plugin is connected", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: file-discovery, parameters: {path: eps.yaml}}]\ndataLayer: {discovery: {pluginRef: file-discovery}}",
    );
    expect(report(outcome)).toBe("");
    expect(outcome.graph?.discovery?.name).toBe("file-discovery");
    expect(outcome.effective?.dataLayer.discovery).toEqual({ pluginRef: "file-discovery" });
  });

  test.each([
    ["file-discovery", "UNDEFINED_REF"],
    ["decode-filter", "WRONG_ROLE"],
  ])("a reference to %s gives %s", async (ref, code) => {
    const outcome = await usualPlugins().load(
      `plugins: [{type: decode-filter}]\ndataLayer:\n  discovery:\n    pluginRef: ${ref}\n`,
    );
    expect(places(outcome)).toEqual([`4:16 ${code}`]);
  });
});
