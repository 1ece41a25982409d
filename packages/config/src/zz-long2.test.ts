import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { report, usualPlugins } from "../test/fake-plugins.ts";
import { type EffectiveConfig, printEffective } from "./index.ts";

/** Warnings that are about what the configuration is, not about how it is written. */
const lasting = new Set(["EPP_CONFIG_UNUSED_PLUGIN", "EPP_CONFIG_REPEATED_REF", "EPP_CONFIG_DATA_CYCLE_BROKEN"]);

const awkward = fc.oneof(
  fc.constantFrom(
    "<<",
    "yes",
    "No",
    "on",
    "~",
    "null",
    "0777",
    "1_000",
    "0x1F",
    "1:30",
    "1e3",
    ".inf",
    "-",
    "?",
    ": ",
    "a: b",
    "#c",
    " x ",
    "",
    "|",
    ">",
    "*a",
    "&a",
    "!t",
    "%",
    "@",
    "`",
    "'",
    '"',
    "\\",
    "\n",
    "a\n\n b\n",
    "\t",
    "\u0085",
    "\u2028",
    "\ufeff",
    "é",
    "😀",
    "2001-01-01",
    "constructor",
    "toString",
    "---",
    "...",
    "[",
    "{}",
    "x".repeat(200),
  ),
  fc.string({ unit: "grapheme", maxLength: 20 }),
);

/** Configurations that are right, in much variety. */
const configs: fc.Arbitrary<Readonly<Record<string, unknown>>> = fc
  .record({
    scorers: fc.uniqueArray(
      fc.record({
        name: fc.oneof(
          awkward.filter((name) => name !== ""),
          fc.constant(undefined),
        ),
        type: fc.constantFrom(
          "queue-scorer",
          "kv-cache-utilization-scorer",
          "running-requests-size-scorer",
          "context-length-aware",
          "active-request-scorer",
          "token-load-scorer",
        ),
        weight: fc.oneof(fc.constant(undefined), fc.double({ min: 0, max: 1e6, noNaN: true })),
      }),
      { selector: ({ name, type }) => name ?? type, maxLength: 5 },
    ),
    filter: fc.option(
      fc.dictionary(
        awkward.filter((name) => name !== "__proto__"),
        awkward,
        { maxKeys: 3 },
      ),
      { nil: undefined },
    ),
    alias: fc.boolean(),
    prefix: fc.option(
      fc.record(
        {
          matchLengthWeight: fc.double({ min: 0, max: 1, noNaN: true }),
          matchLengthScaleTokens: fc.integer({ min: 1, max: 2 ** 31 }),
        },
        { requiredKeys: [] },
      ),
      { nil: undefined },
    ),
    producer: fc.option(
      fc.record({ blockSizeTokens: fc.integer({ min: 1, max: 512 }), autoTune: fc.boolean() }, { requiredKeys: [] }),
      { nil: undefined },
    ),
    picker: fc.option(fc.constantFrom("max-score-picker", "random-picker", "weighted-random-picker"), {
      nil: undefined,
    }),
    listPicker: fc.boolean(),
    profiles: fc.boolean(),
    secondProfile: fc.boolean(),
    parsers: fc.option(
      fc.uniqueArray(fc.constantFrom("openai-parser", "vertexai-parser", "anthropic-parser"), { minLength: 1 }),
      { nil: undefined },
    ),
    detector: fc.option(fc.constantFrom("utilization-detector", "concurrency-detector"), { nil: undefined }),
    source: fc.boolean(),
    discovery: fc.option(awkward, { nil: undefined }),
    gate: fc.constantFrom(
      undefined,
      "flowControl=false",
      "haPopulateNonLeaderDatastore=0",
      "haPopulateNonLeaderDatastore",
    ),
    formerVersion: fc.boolean(),
  })
  .map((draft) => {
    const plugins: { name?: string; type: string; parameters?: unknown }[] = [];
    const declare = (type: string, name: string | undefined, parameters?: unknown): string => {
      const called = name ?? type;
      plugins.push({
        ...(name === undefined ? {} : { name }),
        type,
        ...(parameters === undefined ? {} : { parameters }),
      });
      return called;
    };
    const members: { pluginRef: string; weight?: number }[] = draft.scorers.map(({ name, type, weight }) => ({
      pluginRef: declare(type, name),
      ...(weight === undefined ? {} : { weight }),
    }));
    if (draft.filter !== undefined) {
      members.push({
        pluginRef: declare(draft.alias ? "by-label-selector" : "label-selector-filter", undefined, {
          matchLabels: draft.filter,
        }),
      });
    }
    if (draft.prefix !== undefined)
      members.push({ pluginRef: declare("prefix-cache-scorer", undefined, draft.prefix), weight: 1 });
    if (draft.producer !== undefined) declare("approx-prefix-cache-producer", undefined, draft.producer);
    if (draft.picker !== undefined) {
      const pluginRef = declare(draft.picker, undefined, { maxNumOfEndpoints: 2 });
      if (draft.listPicker) members.push({ pluginRef });
    }
    const stated = draft.profiles || draft.secondProfile;
    if (draft.secondProfile) declare("disagg-profile-handler", undefined);
    const dataLayer: Record<string, unknown> = {};
    if (draft.source) {
      const [pluginRef, extractor] = [
        declare("metrics-data-source", "src", { path: "/m" }),
        declare("core-metrics-extractor", undefined),
      ];
      dataLayer["sources"] = [{ pluginRef, extractors: [{ pluginRef: extractor }] }];
    }
    if (draft.discovery !== undefined)
      dataLayer["discovery"] = { pluginRef: declare("file-discovery", "found", { path: draft.discovery }) };
    if (draft.detector !== undefined) declare(draft.detector, undefined);
    return {
      ...(draft.formerVersion ? { apiVersion: "inference.networking.x-k8s.io/v1alpha1" } : {}),
      kind: "EndpointPickerConfig",
      ...(draft.gate === undefined ? {} : { featureGates: [draft.gate] }),
      plugins,
      ...(stated
        ? {
            schedulingProfiles: [
              { name: "one", plugins: members },
              ...(draft.secondProfile ? [{ name: "two", plugins: members.slice(0, 1) }] : []),
            ],
          }
        : {}),
      dataLayer,
      ...(draft.parsers === undefined
        ? {}
        : { requestHandler: { parsers: draft.parsers.map((pluginRef) => ({ pluginRef })) } }),
      ...(draft.detector === undefined ? {} : { flowControl: { saturationDetector: { pluginRef: draft.detector } } }),
    };
  });

describe("writing", () => {
  const fakes = usualPlugins();

  test("what is written loads again, equal and without problems, and is written the same", async () => {
    await fc.assert(
      fc.asyncProperty(configs, fc.boolean(), async (document, asJson) => {
        const text = asJson ? JSON.stringify(document) : stringify(document, { defaultStringType: "QUOTE_DOUBLE" });
        const first = await fakes.load(text);
        expect(report({ ...first, problems: first.problems.filter(({ severity }) => severity === "error") })).toBe("");
        const effective = first.effective as EffectiveConfig;
        const written = printEffective(effective);
        const second = await fakes.load(written);
        expect(report({ ...second, problems: second.problems.filter(({ code }) => !lasting.has(code)) })).toBe("");
        expect(second.effective).toEqual(effective);
        expect(printEffective(second.effective as EffectiveConfig)).toBe(written);
        const graphs = [first.graph, second.graph].map((graph) => ({
          plugins: graph?.plugins.map(({ name, type, instance }) => [
            name,
            type,
            (instance as { readonly params?: unknown }).params,
          ]),
          producers: graph?.producers.map((level) => level.map(({ name }) => name)),
          gates: graph?.featureGates,
        }));
        expect(graphs[1]).toEqual(graphs[0]);
      }),
      { numRuns: 4000 },
    );
  }, 500_000);

  test("texts that look like something else come back as texts", async () => {
    const labels = { "<<": "yes", on: "0777", "~": "null", "a\nb": "1:30", "": " " };
    const document = { plugins: [{ type: "label-selector-filter", parameters: { matchLabels: labels } }] };
    const first = await usualPlugins().load(JSON.stringify(document));
    const second = await usualPlugins().load(printEffective(first.effective as EffectiveConfig));
    expect(second.effective?.plugins[0]?.parameters).toEqual({ matchLabels: labels });
  });

  test("the built-in configuration is written with every default", async () => {
    const { effective } = await usualPlugins().load(undefined);
    expect(printEffective(effective as EffectiveConfig)).toBe(`apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
featureGates:
  - flowControl=false
  - haPopulateNonLeaderDatastore=true
plugins:
  - name: queue-scorer
    type: queue-scorer
  - name: kv-cache-utilization-scorer
    type: kv-cache-utilization-scorer
  - name: prefix-cache-scorer
    type: prefix-cache-scorer
    parameters:
      prefixMatchInfoProducerName: ""
      matchLengthWeight: 0
      matchLengthScaleTokens: 8192
  - name: metrics-data-source
    type: metrics-data-source
    parameters:
      path: /metrics
  - name: core-metrics-extractor
    type: core-metrics-extractor
  - name: single-profile-handler
    type: single-profile-handler
  - name: max-score-picker
    type: max-score-picker
    parameters:
      maxNumOfEndpoints: 1
  - name: openai-parser
    type: openai-parser
  - name: anthropic-parser
    type: anthropic-parser
  - name: vllmhttp-parser
    type: vllmhttp-parser
  - name: passthrough-parser
    type: passthrough-parser
  - name: utilization-detector
    type: utilization-detector
    parameters:
      queueDepthThreshold: 5
  - name: approx-prefix-cache-producer
    type: approx-prefix-cache-producer
    parameters:
      autoTune: true
      blockSizeTokens: 64
      lruCapacityPerServer: 31250
      maxPrefixTokensToMatch: 0
  - name: token-producer
    type: token-producer
schedulingProfiles:
  - name: default
    plugins:
      - pluginRef: queue-scorer
        weight: 2
      - pluginRef: kv-cache-utilization-scorer
        weight: 2
      - pluginRef: prefix-cache-scorer
        weight: 3
      - pluginRef: max-score-picker
dataLayer:
  injectDefaults: true
  sources:
    - pluginRef: metrics-data-source
      extractors:
        - pluginRef: core-metrics-extractor
requestHandler:
  parsers:
    - pluginRef: openai-parser
    - pluginRef: anthropic-parser
    - pluginRef: vllmhttp-parser
    - pluginRef: passthrough-parser
flowControl:
  saturationDetector:
    pluginRef: utilization-detector
`);
  });
});
