import { describe, expect, test } from "vitest";
import { places, report, usualPlugins } from "../test/fake-plugins.ts";

/** Problems of a text, as places. */
async function check(text: string): Promise<readonly string[]> {
  return places(await usualPlugins().load(text));
}

describe("envelope", () => {
  test.each([
    "{}",
    "kind: EndpointPickerConfig",
    "apiVersion: llm-d.ai/v1alpha1",
    "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig",
    'apiVersion: ""\nkind: ""',
    "apiVersion:\nkind: null",
    "{plugins: [], schedulingProfiles: [], dataLayer: {}, flowControl: {}, requestHandler: {parsers: []}, featureGates: []}",
    "{plugins: null, schedulingProfiles: ~, dataLayer: , flowControl: , requestHandler: , featureGates: , parser: , saturationDetector: }",
    '{"apiVersion": "llm-d.ai/v1alpha1", "kind": "EndpointPickerConfig", "plugins": [{"type": "queue-scorer"}]}',
  ])("%s is complete", async (text) => {
    const outcome = await usualPlugins().load(text);
    expect(report(outcome)).toBe("");
    expect(outcome.graph).toBeDefined();
  });

  test("the former API group is read and warned of", async () => {
    const outcome = await usualPlugins().load(
      "kind: EndpointPickerConfig\napiVersion: inference.networking.x-k8s.io/v1alpha1",
    );
    expect(places(outcome)).toEqual(["2:13 DEPRECATED_API_VERSION"]);
    expect(outcome.graph).toBeDefined();
    expect(outcome.effective?.apiVersion).toBe("llm-d.ai/v1alpha1");
  });

  test.each([
    ["apiVersion: llm-d.ai/v1", "1:13 API_VERSION"],
    ["apiVersion: v1alpha1", "1:13 API_VERSION"],
    ["kind: endpointPickerConfig", "1:7 API_VERSION"],
    ["kind: 5", "1:7 WRONG_TYPE"],
    ["[1]", "1:1 WRONG_TYPE"],
    ["just a text", "1:1 WRONG_TYPE"],
  ])("%s is refused", async (text, problem) => {
    const outcome = await usualPlugins().load(text);
    expect(places(outcome)).toEqual([problem]);
    expect(outcome).toMatchObject({ graph: undefined, effective: undefined });
  });
});

describe("fields", () => {
  test.each([
    ["metadata: {name: x}", "1:1 UNKNOWN_FIELD"],
    ["Plugins: []", "1:1 UNKNOWN_FIELD"],
    ["plugins: [{type: queue-scorer, Name: q}]", "1:32 UNKNOWN_FIELD"],
    ["plugins: [{type: queue-scorer, params: {}}]", "1:32 UNKNOWN_FIELD"],
    ["plugins: [{type: queue-scorer, type: queue-scorer}]", "1:32 DUPLICATE_FIELD"],
    ["plugins: {type: queue-scorer}", "1:10 WRONG_TYPE"],
    ["plugins: [queue-scorer]", "1:11 WRONG_TYPE"],
    ["plugins: [{type: [queue-scorer]}]", "1:18 WRONG_TYPE"],
    ["plugins: [{type: 5}]", "1:18 WRONG_TYPE"],
    ["plugins: [{type: queue-scorer, name: yes}]", "1:38 WRONG_TYPE"],
    ["plugins: [{name: q}]", "1:11 MISSING_VALUE"],
    ['plugins: [{type: ""}]', "1:18 MISSING_VALUE"],
    ["plugins: [null]", "1:11 MISSING_VALUE"],
    ["schedulingProfiles: default", "1:21 WRONG_TYPE"],
    ["schedulingProfiles: [{plugins: []}]", "1:22 MISSING_VALUE"],
    ['schedulingProfiles: [{name: ""}]', "1:29 MISSING_VALUE"],
    ["schedulingProfiles: [{name: a, plugin: []}]", "1:32 UNKNOWN_FIELD"],
    ["schedulingProfiles: [{name: a, plugins: [{}]}]", "1:42 MISSING_VALUE"],
    ['schedulingProfiles: [{name: a, plugins: [{pluginRef: ""}]}]', "1:54 MISSING_VALUE"],
    [
      "{plugins: [{type: queue-scorer, name: x}], schedulingProfiles: [{name: a, plugins: [{pluginref: x}]}]}",
      "1:86 UNKNOWN_FIELD",
    ],
    ["schedulingProfiles: [{name: a, plugins: [{pluginRef: 1}]}]", "1:54 WRONG_TYPE"],
    ["featureGates: flowControl", "1:15 WRONG_TYPE"],
    ["featureGates: [true]", "1:16 WRONG_TYPE"],
    ["dataLayer: []", "1:12 WRONG_TYPE"],
    ["dataLayer: {injectDefaults: 'no'}", "1:29 WRONG_TYPE"],
    ["dataLayer: {source: []}", "1:13 UNKNOWN_FIELD"],
    ["dataLayer: {sources: [{extractors: []}]}", "1:23 MISSING_VALUE"],
    ["dataLayer: {sources: [null]}", "1:23 MISSING_VALUE"],
    ["dataLayer: {sources: [x]}", "1:23 WRONG_TYPE"],
    ["dataLayer: {discovery: {}}", "1:24 MISSING_VALUE"],
    ["dataLayer: {discovery: file-discovery}", "1:24 WRONG_TYPE"],
    ['dataLayer: {discovery: {pluginRef: ""}}', "1:36 MISSING_VALUE"],
    ["requestHandler: {parser: []}", "1:18 UNKNOWN_FIELD"],
    ["requestHandler: {parsers: [openai-parser]}", "1:28 WRONG_TYPE"],
    ["requestHandler: {parsers: [{}]}", "1:28 MISSING_VALUE"],
  ])("%s gives exactly %s", async (text, problem) => {
    const found = await check(text);
    expect(found).toEqual([problem]);
  });

  test("a misspelled field is one problem: it is read as the nearest one", async () => {
    const found = await check(
      "plugin:\n- {typ: queue-scorer, nam: q}\nschedulingprofiles:\n- name: a\n  plugins: [{pluginRf: q, wieght: 2}]",
    );
    expect(found.map((problem) => problem.split(" ")[1])).toEqual(Array(6).fill("UNKNOWN_FIELD"));
  });

  test("help names the nearest field and all fields; texts that look like numbers are to be quoted", async () => {
    const outcome = await usualPlugins().load("pluginz: []\nplugins: [{type: queue-scorer, name: 5}]");
    expect(outcome.problems.map(({ message, help }) => `${message} ${help}`)).toEqual([
      'The configuration has no field "pluginz". Nearest: "plugins". Fields: apiVersion, kind, featureGates, plugins, ' +
        "schedulingProfiles, dataLayer, flowControl, requestHandler, saturationDetector, parser.",
      'plugins[0].name is 5; a text is expected. Put it in quotes: "5".',
    ]);
  });

  test("a number in the place of a duration is told what a duration is: quotes would not make it one", async () => {
    const outcome = await usualPlugins().load("dataLayer: {crossReplicaSyncInterval: 5}");
    expect(outcome.problems.map(({ message, help }) => `${message}${help}`)).toContain(
      'dataLayer.crossReplicaSyncInterval is 5; a duration such as "30s" is expected.',
    );
  });

  test("paths and places lead to the value", async () => {
    const outcome = await usualPlugins().load("schedulingProfiles:\n  - name: a\n    plugins:\n      - pluginRef: 7\n");
    expect(outcome.problems).toMatchObject([
      { file: "epp.yaml", line: 4, column: 20, path: "schedulingProfiles[0].plugins[0].pluginRef", severity: "error" },
    ]);
  });

  test("an empty name is no name", async () => {
    const outcome = await usualPlugins().load('plugins: [{type: queue-scorer, name: ""}]');
    expect(report(outcome)).toBe("");
    expect(outcome.effective?.plugins[0]).toEqual({ name: "queue-scorer", type: "queue-scorer" });
  });

  test("more than a thousand plugins are refused", async () => {
    const entries = Array.from({ length: 1001 }, (_, i) => `- {type: decode-filter, name: f${i}}`).join("\n");
    expect(await check(`plugins:\n${entries}\n- {type: max-score-picker}`)).toContain("1002:3 TOO_LARGE");
  });
});

describe("weights", () => {
  const profile = (weight: string): string =>
    `plugins: [{type: queue-scorer}]\nschedulingProfiles:\n- name: a\n  plugins:\n  - pluginRef: queue-scorer\n    weight: ${weight}\n`;

  test.each(["0", "0.5", "2", "1e3"])("%s is a weight", async (weight) => {
    const outcome = await usualPlugins().load(profile(weight));
    expect(report(outcome)).toBe("");
    expect(outcome.graph?.profiles[0]?.scorers[0]?.weight).toBe(Number(weight));
  });

  test.each([
    ["-1", "BAD_VALUE"],
    [".nan", "BAD_VALUE"],
    [".inf", "BAD_VALUE"],
    ["'2'", "WRONG_TYPE"],
    ["high", "WRONG_TYPE"],
    ["true", "WRONG_TYPE"],
  ])("%s is refused", async (weight, code) => {
    expect(await check(profile(weight))).toEqual([`6:13 ${code}`]);
  });

  test("without a weight it is 1", async () => {
    for (const text of [profile(""), profile("null")]) {
      const { graph } = await usualPlugins().load(text);
      expect(graph?.profiles[0]?.scorers[0]?.weight).toBe(1);
    }
  });
});

describe("feature gates", () => {
  test.each([
    ["[]", false, true],
    ["[haPopulateNonLeaderDatastore=false]", false, false],
    ["['haPopulateNonLeaderDatastore= F ']", false, false],
    ["[haPopulateNonLeaderDatastore]", false, true],
    ["[flowControl=0, haPopulateNonLeaderDatastore=T]", false, true],
  ])("%s sets flowControl %s and haPopulateNonLeaderDatastore %s", async (gates, flowControl, ha) => {
    const outcome = await usualPlugins().load(`featureGates: ${gates}`);
    expect(report(outcome)).toBe("");
    expect(outcome.graph?.featureGates).toEqual(
      new Map([
        ["flowControl", flowControl],
        ["haPopulateNonLeaderDatastore", ha],
      ]),
    );
  });

  test.each([
    ["[flowcontrol=false]", "1:16 UNKNOWN_FEATURE_GATE"],
    ["[' flowControl=false']", "1:16 UNKNOWN_FEATURE_GATE"],
    ["['']", "1:16 UNKNOWN_FEATURE_GATE"],
    ["[flowControl=yes]", "1:16 UNKNOWN_FEATURE_GATE"],
    ["[flowControl=]", "1:16 UNKNOWN_FEATURE_GATE"],
    ["[flowControl=false=true]", "1:16 UNKNOWN_FEATURE_GATE"],
    ["[flowControl]", "1:16 UNAVAILABLE"],
    ["[flowControl=false, flowControl=true]", "1:16 IGNORED_FIELD,1:35 UNAVAILABLE"],
  ])("%s gives %s", async (gates, problems) => {
    expect((await check(`featureGates: ${gates}`)).join()).toBe(problems);
  });

  test("the last entry of a gate counts, and the first one is warned of", async () => {
    const outcome = await usualPlugins().load("featureGates: [flowControl, flowControl=false]");
    expect(places(outcome)).toEqual(["1:16 IGNORED_FIELD"]);
    expect(outcome.graph?.featureGates.get("flowControl")).toBe(false);
  });
});

describe("flow control without its gate", () => {
  test("fields that do nothing are warned of once, by name", async () => {
    const outcome = await usualPlugins().load(
      "flowControl: {maxBytes: 1Gi, enableEviction: true, saturationDetector: {}}",
    );
    expect(places(outcome)).toEqual(["1:1 IGNORED_FIELD"]);
    expect(outcome.problems[0]?.message).toBe(
      "In flowControl, maxBytes, enableEviction have no effect: the feature gate flowControl is off.",
    );
    expect(outcome.graph).toBeDefined();
  });

  test.each([
    ["{maxBytes: 1Gi, maxRequests: '10'}", ""],
    ["{maxRequests: 5}", ""],
    ["{maxRequests: 1.5}", ""],
    ["{maxBytes: -1}", "1:25 BAD_VALUE"],
    ["{maxBytes: 1Q}", "1:25 BAD_VALUE"],
    ["{maxBytes: true}", "1:25 WRONG_TYPE"],
    ["{maxRequests: []}", "1:28 WRONG_TYPE"],
    ["{defaultRequestTTL: 30s, noEndpointRequestTTL: 0s}", ""],
    ["{defaultRequestTTL: 30}", "1:34 WRONG_TYPE"],
    ["{defaultRequestTTL: 30x}", "1:34 BAD_VALUE"],
    ["{noEndpointRequestTTL: -1s}", "1:37 BAD_VALUE"],
    ["{priorityBands: [{priority: 1}, {priority: -1}, {}]}", ""],
    ["{priorityBands: [{priority: 1}, {priority: 1}]}", "1:57 BAD_VALUE"],
    ["{priorityBands: [{}, {priority: 0}]}", "1:46 BAD_VALUE"],
    ["{priorityBands: [{priority: 0}, {}]}", "1:46 BAD_VALUE"],
    ["{priorityBands: [{priority: 1.5}]}", "1:42 BAD_VALUE"],
    ["{priorityBands: [{priority: high}]}", "1:42 WRONG_TYPE"],
    ["{priorityBands: [{priority: 0}, {priority: high}]}", "1:57 WRONG_TYPE"],
    ["{priorityBands: [{maxRequests: -5, prio: 1}]}", "1:45 BAD_VALUE,1:49 UNKNOWN_FIELD"],
    ["{defaultPriorityBand: {maxBytes: 1k}, defaultNegativePriorityBand: {maxBytes: x}}", "1:92 BAD_VALUE"],
    ["{priorityBands: [5]}", "1:31 WRONG_TYPE"],
    ["{usageLimitPolicyPluginRef: 5}", "1:42 WRONG_TYPE"],
    ["{saturationDetector: x}", "1:35 WRONG_TYPE"],
    ["5", "1:14 WRONG_TYPE"],
  ])("flowControl: %s gives %s", async (section, problems) => {
    const found = await check(`flowControl: ${section}`);
    expect(found.filter((problem) => !problem.endsWith("IGNORED_FIELD")).join()).toBe(problems);
  });
});

describe("fields that are read and do nothing, or cannot be honoured", () => {
  test.each([
    ["peerDiscovery: {pluginRef: x}", "1:13 IGNORED_FIELD"],
    ["peerDiscovery: {}", "1:13 IGNORED_FIELD,1:28 MISSING_VALUE"],
    ["crossReplicaSyncInterval: 1s", "1:13 IGNORED_FIELD"],
    ["crossReplicaSyncInterval: soon", "1:13 IGNORED_FIELD,1:39 BAD_VALUE"],
    ["crossReplicaSyncerPluginRef: x", "1:42 UNAVAILABLE"],
    ["crossReplicaSyncerPluginRef: ''", ""],
    ["crossReplicaSyncerPluginRef: x, crossReplicaSyncInterval: 1s", "1:42 UNAVAILABLE"],
  ])("dataLayer: {%s} gives %s", async (field, problems) => {
    expect((await check(`dataLayer: {${field}}`)).join()).toBe(problems);
  });
});

describe("deprecated fields", () => {
  test("parser is read as the only parser", async () => {
    const outcome = await usualPlugins().load("parser: {pluginRef: vertexai-parser}");
    expect(places(outcome)).toEqual(["1:1 DEPRECATED_FIELD"]);
    expect(outcome.graph?.parsers.map(({ name }) => name)).toEqual(["vertexai-parser"]);
  });

  test("parser has no effect beside requestHandler.parsers", async () => {
    const outcome = await usualPlugins().load(
      "parser: {pluginRef: vertexai-parser}\nrequestHandler: {parsers: [{pluginRef: openai-parser}]}",
    );
    expect(places(outcome)).toEqual(["1:1 DEPRECATED_FIELD"]);
    expect(outcome.problems[0]?.message).toContain("has no effect beside requestHandler.parsers");
    expect(outcome.graph?.parsers.map(({ name }) => name)).toEqual(["openai-parser"]);
  });

  test("saturationDetector is read unless flowControl says something", async () => {
    const plugins = "plugins: [{type: concurrency-detector}]\nsaturationDetector: {pluginRef: concurrency-detector}\n";
    const former = await usualPlugins().load(plugins);
    expect(places(former)).toEqual(["2:1 DEPRECATED_FIELD"]);
    expect(former.graph?.saturationDetector?.name).toBe("concurrency-detector");
    const both = await usualPlugins().load(
      `${plugins}flowControl: {saturationDetector: {pluginRef: utilization-detector}}`,
    );
    expect(places(both)).toEqual(["2:1 DEPRECATED_FIELD"]);
    expect(both.graph?.saturationDetector?.name).toBe("utilization-detector");
  });

  test("an empty saturationDetector is warned of and means the default", async () => {
    const outcome = await usualPlugins().load("saturationDetector: {}");
    expect(places(outcome)).toEqual(["1:1 DEPRECATED_FIELD"]);
    expect(outcome.graph?.saturationDetector?.name).toBe("utilization-detector");
  });
});
