import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { places, report, usualPlugins } from "../test/fake-plugins.ts";
import type { LoadOutcome } from "./index.ts";
import { documentLimits } from "./read-document.ts";

describe("no configuration", () => {
  test.each([undefined, ""])("%j means the built-in one", async (text) => {
    const outcome = await usualPlugins().load(text);
    expect(report(outcome)).toBe("");
    expect(
      outcome.graph?.profiles.map(({ name, scorers, picker }) => [
        name,
        scorers.map(({ plugin, weight }) => [plugin.name, weight]),
        picker.name,
      ]),
    ).toEqual([
      [
        "default",
        [
          ["queue-scorer", 2],
          ["kv-cache-utilization-scorer", 2],
          ["prefix-cache-scorer", 3],
        ],
        "max-score-picker",
      ],
    ]);
    expect(outcome.graph?.plugins.map(({ name }) => name)).toEqual([
      "queue-scorer",
      "kv-cache-utilization-scorer",
      "prefix-cache-scorer",
      "metrics-data-source",
      "core-metrics-extractor",
      "single-profile-handler",
      "max-score-picker",
      "openai-parser",
      "anthropic-parser",
      "vllmhttp-parser",
      "passthrough-parser",
      "utilization-detector",
      "approx-prefix-cache-producer",
      "token-producer",
    ]);
  });

  test("what is wrong with it is told under a name that is no file", async () => {
    const outcome = await usualPlugins().remove("queue-scorer").load(undefined);
    expect(outcome.problems).toMatchObject([
      { code: "EPP_CONFIG_UNKNOWN_TYPE", file: "(built-in configuration)", line: 4, column: 11 },
    ]);
  });

  test("white space is a configuration without content", async () => {
    expect(places(await usualPlugins().load("  \n"))).toEqual(["1:1 EMPTY"]);
  });
});

describe("examples", () => {
  const head = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n";
  const loadAware = `${head}plugins:
- {type: queue-scorer}
- {type: kv-cache-utilization-scorer}
- {type: running-requests-size-scorer}
- {name: spread, type: weighted-random-picker}
schedulingProfiles:
- name: default
  plugins: [{pluginRef: queue-scorer, weight: 2}, {pluginRef: kv-cache-utilization-scorer}, {pluginRef: running-requests-size-scorer, weight: 0.5}, {pluginRef: spread}]
`;
  const approximatePrefix = `${head}plugins:
- {type: approx-prefix-cache-producer, parameters: {autoTune: false, blockSizeTokens: 64, lruCapacityPerServer: 20000, maxPrefixTokensToMatch: 65536}}
- {type: prefix-cache-scorer}
- {type: no-hit-lru-scorer}
- {type: queue-scorer}
schedulingProfiles:
- name: default
  plugins: [{pluginRef: prefix-cache-scorer, weight: 3}, {pluginRef: no-hit-lru-scorer}, {pluginRef: queue-scorer, weight: 2}]
`;
  const precisePrefix = `${head}plugins:
- {type: token-producer, parameters: {modelName: org/model, vllm: {url: "http://render.default.svc:8000"}}}
- {type: endpoint-notification-source}
- {type: precise-prefix-cache-producer, parameters: {speculativeIndexing: true, tokenProcessorConfig: {blockSizeTokens: 16}, kvEventsConfig: {topicFilter: "kv@", discoverPods: true, podDiscoveryConfig: {socketPort: 5557}}}}
- {name: precise, type: prefix-cache-scorer, parameters: {prefixMatchInfoProducerName: precise-prefix-cache-producer}}
- {type: active-request-scorer}
dataLayer:
  sources: [{pluginRef: endpoint-notification-source, extractors: [{pluginRef: precise-prefix-cache-producer}]}]
schedulingProfiles:
- name: default
  plugins: [{pluginRef: precise, weight: 2}, {pluginRef: active-request-scorer, weight: 1}]
`;
  const disaggregated = `${head}plugins:
- {type: prefix-cache-scorer}
- {type: queue-scorer}
- {type: prefill-filter}
- {type: decode-filter}
- {name: pd, type: prefix-based-pd-decider, parameters: {nonCachedTokens: 256}}
- {type: disagg-profile-handler, parameters: {deciders: {prefill: pd}}}
schedulingProfiles:
- {name: prefill, plugins: [{pluginRef: prefill-filter}, {pluginRef: prefix-cache-scorer, weight: 2}, {pluginRef: queue-scorer}]}
- {name: decode, plugins: [{pluginRef: decode-filter}, {pluginRef: prefix-cache-scorer, weight: 2}, {pluginRef: queue-scorer}]}
`;
  const flowControl = `${head}featureGates: [flowControl]
plugins:
- {type: queue-scorer}
- {type: concurrency-detector, parameters: {maxConcurrency: 64}}
- {name: rr, type: round-robin-fairness-policy}
flowControl:
  maxRequests: 2k
  maxBytes: 512Mi
  defaultRequestTTL: 30s
  noEndpointRequestTTL: 5m
  saturationDetector: {pluginRef: concurrency-detector}
  priorityBands: [{priority: 10, maxRequests: "1000", fairnessPolicyRef: rr}, {priority: 0}]
  defaultNegativePriorityBand: {maxRequests: "50"}
schedulingProfiles:
- {name: default, plugins: [{pluginRef: queue-scorer}]}
`;

  test.each([
    ["load-aware", loadAware, ["metrics-data-source"]],
    ["approximate prefix", approximatePrefix, ["metrics-data-source", "token-producer", "max-score-picker"]],
    ["precise prefix", precisePrefix, ["inflight-load-producer", "max-score-picker"]],
    ["disaggregated", disaggregated, ["approx-prefix-cache-producer", "token-producer", "max-score-picker"]],
  ])("%s loads without problems", async (_, text, added) => {
    const outcome = await usualPlugins().load(text);
    expect(report(outcome)).toBe("");
    expect(outcome.graph?.plugins.map(({ name }) => name)).toEqual(expect.arrayContaining(added));
  });

  test("disaggregated has both profiles, each with the picker", async () => {
    const { graph } = await usualPlugins().load(disaggregated);
    expect(
      graph?.profiles.map(({ name, filters, scorers, picker }) => [
        name,
        filters[0]?.name,
        scorers.length,
        picker.name,
      ]),
    ).toEqual([
      ["prefill", "prefill-filter", 2, "max-score-picker"],
      ["decode", "decode-filter", 2, "max-score-picker"],
    ]);
    expect(graph?.profileHandler.name).toBe("disagg-profile-handler");
  });

  test("flow control is refused where it is asked for, and only there", async () => {
    expect(places(await usualPlugins().load(flowControl))).toEqual(["3:16 UNAVAILABLE"]);
  });

  test("without the gate, the section is warned of and its policy plugin is refused", async () => {
    const outcome = await usualPlugins().load(flowControl.replace("featureGates: [flowControl]\n", ""));
    expect(places(outcome)).toEqual(["6:20 UNAVAILABLE", "7:1 IGNORED_FIELD"]);
  });

  test("without the policy plugin, the detector of the section is used", async () => {
    const outcome = await usualPlugins().load(
      flowControl.replace("featureGates: [flowControl]\n", "").replace(/- \{name: rr.*\n/, ""),
    );
    expect(places(outcome)).toEqual(["6:1 IGNORED_FIELD"]);
    expect(outcome.graph?.saturationDetector?.name).toBe("concurrency-detector");
  });

  test("discovery from a file works with each", async () => {
    for (const text of [loadAware, approximatePrefix, disaggregated]) {
      const outcome = await usualPlugins().load(
        `${text.replace("plugins:\n", "plugins:\n- {type: file-discovery, parameters: {path: /etc/epp/eps.yaml, watchFile: true}}\n")}dataLayer: {discovery: {pluginRef: file-discovery}}\n`,
      );
      expect(report(outcome)).toBe("");
      expect(outcome.graph?.discovery?.name).toBe("file-discovery");
    }
  });
});

test("five mistakes are five problems, each where it stands", async () => {
  const outcome = await usualPlugins().load(`apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: queue-scoerr
  - type: prefix-cache-scorer
    parameters:
      matchLengthWeigth: 0.5
      matchLengthScaleTokens: -5
  - type: max-score-picker
  - type: random-picker
schedulingProfiles:
  - name: default
    plugins:
      - pluginRef: queue-scoerr
        weight: 2
      - pluginRef: prefix-cache-scorr
      - pluginRef: max-score-picker
      - pluginRef: random-picker
`);
  expect(places(outcome)).toEqual([
    "4:11 UNKNOWN_TYPE",
    "7:7 UNKNOWN_PARAM",
    "8:31 BAD_PARAM",
    "16:20 UNDEFINED_REF",
    "18:20 TWO_PICKERS",
  ]);
  expect(outcome).toMatchObject({ graph: undefined, effective: undefined });
});

describe("plugins that nothing uses", () => {
  test("are warned of, unless they act on their own", async () => {
    const fakes = usualPlugins()
      .add("auditor", "admitter")
      .add("watcher", "extractor", { roles: ["endpointListener"] });
    const outcome = await fakes.load(`
plugins:
- type: queue-scorer
- type: random-picker
- type: vertexai-parser
- type: concurrency-detector
- type: prefix-based-pd-decider
- type: auditor
- type: watcher
- type: inflight-load-producer
schedulingProfiles: [{name: a, plugins: [{pluginRef: queue-scorer}]}]
`);
    expect(places(outcome)).toEqual(["5:9 UNUSED_PLUGIN", "6:9 UNUSED_PLUGIN", "7:9 UNUSED_PLUGIN"]);
    expect(outcome.graph).toBeDefined();
  });

  test("are not warned of while errors may be the reason", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: queue-scorer}]\nschedulingProfiles: [{name: a, plugins: [{pluginRef: queue-scoerr}]}]",
    );
    expect(places(outcome)).toEqual(["2:54 UNDEFINED_REF"]);
  });
});

test("problems are counted beyond a thousand, not shown", async () => {
  const outcome = await usualPlugins().load(`${Array.from({ length: 3000 }, (_, i) => `field${i}: 1`).join("\n")}\n`);
  expect(outcome.problems).toHaveLength(1001);
  expect(outcome.problems.at(-1)).toMatchObject({
    code: "EPP_CONFIG_TOO_MANY_PROBLEMS",
    message: "2000 more problems are not shown.",
  });
});

test("the graph lists what plugins at work read, once", async () => {
  const { graph } = await usualPlugins().load(undefined);
  expect(graph?.consumed.map(({ id }) => id)).toEqual([
    "WaitingQueueSize/core-metrics-extractor",
    "KVCacheUsagePercent/core-metrics-extractor",
    "PrefixCacheMatchInfoDataKey/approx-prefix-cache-producer",
    "TokenizedPrompt/token-producer",
  ]);
  expect(graph?.definitions.get("queue-scorer")?.kind).toBe("scorer");
});

describe("hostile texts", () => {
  const fakes = usualPlugins();

  /** What holds for every outcome. */
  function expectSound(outcome: LoadOutcome): void {
    const errors = outcome.problems.filter(({ severity }) => severity === "error");
    expect(outcome.graph === undefined).toBe(errors.length > 0);
    expect(outcome.effective === undefined).toBe(errors.length > 0);
    const misplaced = outcome.problems.filter(({ line, column }) => !(line > 0 && column > 0));
    const unprintable = outcome.problems.filter(({ message, help }) => /\p{Cc}/u.test(message + help));
    const order = outcome.problems.map(({ line, column }) => line * 1e7 + column);
    const unordered = order.filter((place, index) => place < (order[index - 1] ?? 0));
    expect([misplaced, unprintable, unordered]).toEqual([[], [], []]);
  }

  test("no text makes loading throw", async () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => new TextDecoder().decode(array));
    const signs = fc.string({ unit: fc.constantFrom(..."{}[]:,-?&*!|>'\"%@`# \n\tab01<~"), maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(fc.oneof(bytes, signs, fc.string({ unit: "binary" })), async (text) => {
        expectSound(await fakes.load(text));
      }),
      { numRuns: 800 },
    );
  }, 60_000);

  test("no damage to a configuration makes loading throw", async () => {
    const whole = `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
featureGates: ["haPopulateNonLeaderDatastore=true"]
plugins:
  - {type: approx-prefix-cache-producer, parameters: {autoTune: false, blockSizeTokens: 64}}
  - &scorer {name: p, type: prefix-cache-scorer, parameters: {matchLengthWeight: 0.5}}
  - {<<: *scorer, name: q}
  - {type: disagg-profile-handler, parameters: {deciders: {prefill: p}}}
schedulingProfiles:
  - name: a
    plugins: [{pluginRef: p, weight: 2}, {pluginRef: q}]
dataLayer: {injectDefaults: false, sources: []}
flowControl: {maxBytes: 1Gi, priorityBands: [{priority: 1}], saturationDetector: {pluginRef: x}}
requestHandler: {parsers: [{pluginRef: openai-parser}]}
`;
    const damage = fc.record({
      at: fc.nat(whole.length),
      cut: fc.nat(12),
      paste: fc.oneof(
        fc.constantFrom(
          "",
          "~",
          "[]",
          "{}",
          "*scorer",
          "&x ",
          "__proto__: 1",
          "\n",
          "- ",
          ": ",
          "5",
          "'",
          '"',
          ".nan",
          "constructor",
        ),
        fc.string({ maxLength: 4 }),
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (damages) => {
        const text = damages.reduce(
          (current, { at, cut, paste }) => current.slice(0, at) + paste + current.slice(at + cut),
          whole,
        );
        expectSound(await fakes.load(text));
      }),
      { numRuns: 400 },
    );
    expect(places(await fakes.load(whole))).toEqual(["13:1 IGNORED_FIELD", "13:94 UNDEFINED_REF"]);
  }, 60_000);

  test("no value in any place makes loading throw", async () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    const field = fc.constantFrom(
      "name",
      "type",
      "parameters",
      "pluginRef",
      "weight",
      "plugins",
      "extractors",
      "sources",
      "parsers",
      "discovery",
      "__proto__",
      "constructor",
      "toString",
    );
    const tree: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        value,
        fc.array(tie("node"), { maxLength: 3 }),
        fc.dictionary(field, tie("node"), { maxKeys: 4 }),
      ),
    })).node;
    const section = fc.constantFrom(
      "plugins",
      "schedulingProfiles",
      "dataLayer",
      "flowControl",
      "requestHandler",
      "parser",
      "saturationDetector",
      "featureGates",
      "apiVersion",
      "kind",
    );
    await fc.assert(
      fc.asyncProperty(fc.dictionary(section, tree, { maxKeys: 5 }), async (document) => {
        expectSound(await fakes.load(JSON.stringify(document)));
        expectSound(await fakes.load(stringify(document)));
      }),
      { numRuns: 300 },
    );
    expect("polluted" in {}).toBe(false);
  }, 60_000);

  const lines = (count: number, line: (index: number) => string): string =>
    Array.from({ length: count }, (_, i) => line(i)).join("\n");
  const long = "n".repeat(60);

  test.each<[string, string, string]>([
    [
      "entries that are wrong in every way",
      `plugins:\n${lines(3000, () => "- {type: nope, nmae: x, parameters: [1, 2, 3], other: 5}")}`,
      "UNKNOWN_FIELD",
    ],
    [
      "references to nothing",
      `plugins:\n${lines(900, (i) => `- {type: decode-filter, name: ${long}${i}}`)}\nschedulingProfiles:\n- name: a\n  plugins:\n${lines(4000, (i) => `  - pluginRef: ${long}x${i}`)}`,
      "UNDEFINED_REF",
    ],
    [
      "plugins that refer to the next",
      `plugins:\n${lines(900, (i) => `- {type: disagg-profile-handler, name: h${i}, parameters: {deciders: {prefill: h${i + 1}}}}`)}`,
      "TWO_PROFILE_HANDLERS",
    ],
    [
      "types that do not exist",
      `plugins:\n${lines(3000, (i) => `- type: approx-prefix-cache-produce${i}`)}`,
      "UNKNOWN_TYPE",
    ],
    [
      "parameters that do not exist",
      `plugins:\n- type: approx-prefix-cache-producer\n  parameters:\n${lines(18_000, (i) => `    blockSizeToken${i}: 1`)}`,
      "UNKNOWN_PARAM",
    ],
    [
      "producers that read each other's data",
      `plugins:\n${lines(900, (i) => `- {type: ${i % 2 === 0 ? "approx-prefix-cache" : "token"}-producer, name: p${i}}`)}`,
      "",
    ],
  ])("thousands of %s are answered with a bounded report", async (_, text, code) => {
    expect(text.length).toBeLessThan(documentLimits.characters);
    const outcome = await fakes.load(text);
    expectSound(outcome);
    expect(outcome.problems.length).toBeLessThanOrEqual(1001);
    expect(code === "" ? outcome.problems : places(outcome).map((place) => place.split(" ")[1])).toEqual(
      code === "" ? [] : expect.arrayContaining([code]),
    );
  });
});
