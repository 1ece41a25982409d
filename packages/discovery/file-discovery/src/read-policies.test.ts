import fc from "fast-check";
import { expect, test } from "vitest";
import type { EndpointsFile } from "./endpoints-file.ts";
import { readEndpoints } from "./read-endpoints.ts";

const read = (text: string): EndpointsFile => readEndpoints(`endpoints: []\n${text}`);
const told = ({ problems }: EndpointsFile): readonly string[] =>
  problems.map(({ line, column, text }) => `${line}:${column} ${text}`);

test("objectives and rewrites are read in the schema of the custom resources", () => {
  const file = read(`objectives:
- apiVersion: llm-d.ai/v1alpha2
  kind: InferenceObjective
  metadata: {name: chat, labels: {team: a}}
  spec: {priority: 10, poolRef: {name: pool}}
- metadata: {name: batch}
  spec: {priority: -5}
- metadata: {name: plain}
  spec: {}
modelRewrites:
- metadata: {name: canary, creationTimestamp: "2026-01-31T12:00:00Z"}
  spec:
    poolRef: {name: pool}
    rules:
    - matches: [{model: {type: Exact, value: llama}}, {model: {value: llama-2}}]
      targets: [{modelRewrite: llama-v1, weight: 90}, {modelRewrite: llama-v2, weight: 10}]
    - targets: [{modelRewrite: rest}]
- metadata: {name: refuse}
  spec: {rules: [{matches: []}]}
`);
  expect(told(file)).toEqual([]);
  expect(file.warnings).toEqual([]);
  expect(file.objectives.map(({ object }) => object)).toEqual([
    { name: "chat", priority: 10 },
    { name: "batch", priority: -5 },
    { name: "plain", priority: undefined },
  ]);
  expect(file.modelRewrites.map(({ object }) => object)).toEqual([
    {
      name: "canary",
      createdAtMs: Date.UTC(2026, 0, 31, 12),
      position: 0,
      rules: [
        {
          models: ["llama", "llama-2"],
          targets: [
            { model: "llama-v1", weight: 90 },
            { model: "llama-v2", weight: 10 },
          ],
        },
        { models: undefined, targets: [{ model: "rest", weight: undefined }] },
      ],
    },
    { name: "refuse", createdAtMs: undefined, position: 1, rules: [{ models: undefined, targets: [] }] },
  ]);
});

test("without the keys there are none", () => {
  expect(read("")).toMatchObject({ objectives: [], modelRewrites: [], problemCount: 0 });
  expect(read("objectives:\nmodelRewrites: []\n")).toMatchObject({
    objectives: [],
    modelRewrites: [],
    problemCount: 0,
  });
});

test.each<[string, string]>([
  ["objectives: [{spec: {}}]", "2:14 metadata is missing"],
  ["objectives: [{metadata: {name: a}}]", "2:14 spec is missing"],
  ["objectives: [{metadata: {}, spec: {}}]", "2:14 name is missing"],
  [
    "objectives: [{metadata: {name: a b}, spec: {}}]",
    '2:32 name is "a b"; use 1 to 253 characters without blanks and "/"',
  ],
  ["objectives: [a]", "2:14 an item of objectives must be a map with metadata and spec"],
  ["objectives: [{kind: Pod, metadata: {name: a}, spec: {}}]", '2:21 kind is "Pod"; expected here: InferenceObjective'],
  [
    "objectives: [{apiVersion: v1, metadata: {name: a}, spec: {}}]",
    '2:27 apiVersion is "v1"; expected here: llm-d.ai/v1alpha2, inference.networking.x-k8s.io/v1alpha2',
  ],
  [
    "objectives: [{metadata: {name: a}, spec: {priority: high}}]",
    '2:53 priority is "high"; use a whole number from -2147483648 to 2147483647',
  ],
  [
    "objectives: [{metadata: {name: a}, spec: {priority: 2147483648}}]",
    '2:53 priority is "2147483648"; use a whole number from -2147483648 to 2147483647',
  ],
  ["modelRewrites: [{metadata: {name: a}, spec: {}}]", "2:17 rules is missing"],
  ["modelRewrites: [{metadata: {name: a}, spec: {rules: [a]}}]", "2:54 a rule must be a map with matches and targets"],
  ["modelRewrites: [{metadata: {name: a}, spec: {rules: {}}}]", "2:53 rules must be a list"],
  [
    'modelRewrites: [{metadata: {name: a, creationTimestamp: "yesterday"}, spec: {rules: []}}]',
    '2:57 creationTimestamp is "yesterday"; write it like 2026-01-31T12:00:00Z',
  ],
  [
    "modelRewrites: [{metadata: {name: a}, spec: {rules: [{matches: [{model: {value: 7}}]}]}}]",
    '2:81 value is not text; put it in quotes: "7"',
  ],
  [
    "modelRewrites: [{metadata: {name: a}, spec: {rules: [{matches: [{model: {type: Regex, value: a}}]}]}}]",
    '2:80 type is "Regex"; expected here: Exact',
  ],
  ["modelRewrites: [{metadata: {name: a}, spec: {rules: [{matches: [{}]}]}}]", "2:65 model is missing"],
  ["modelRewrites: [{metadata: {name: a}, spec: {rules: [{targets: []}]}}]", "2:64 targets must not be empty"],
  ["modelRewrites: [{metadata: {name: a}, spec: {rules: [{targets: [{}]}]}}]", "2:65 modelRewrite is missing"],
  [
    "modelRewrites: [{metadata: {name: a}, spec: {rules: [{targets: [{modelRewrite: b, weight: 0}]}]}}]",
    '2:91 weight is "0"; use a whole number from 1 to 1000000',
  ],
])("%s is refused with its place", (text, problem) => {
  const file = read(text);
  expect(told(file)).toContain(problem);
  const [item] = [...file.objectives, ...file.modelRewrites];
  expect(item).toMatchObject({ object: undefined });
});

test.each(["objectives: {}", "modelRewrites: 3"])(
  "%s makes the file unusable, since nothing says what stays",
  (text) => {
    expect(read(text)).toMatchObject({ items: undefined, problemCount: 1 });
  },
);

test("a list of more items than can be meant is refused as a whole", () => {
  const items = Array.from({ length: 10_001 }, (_, i) => `{metadata: {name: o${i}}, spec: {}}`).join(",");
  const file = read(`objectives: [${items}]`);
  expect(told(file)).toEqual(["2:1 objectives has 10001 items; at most 10000 are possible"]);
  expect(file.items).toBeUndefined();
});

test("names given twice and keys nobody knows are warned of", () => {
  const file = read("objectives:\n- {metadata: {name: a}, spec: {prio: 1}}\n- {metadata: {name: a}, spec: {}}\n");
  expect(file.problemCount).toBe(0);
  expect(file.warnings.map(({ line, text }) => `${line} ${text}`)).toEqual([
    '3 the key "prio" is not known and has no effect; known: priority, poolRef',
    '4 "a" is listed in line 3 too; the last valid one counts',
  ]);
});

test("whatever stands under the keys, reading ends with a file, and what is not valid has a problem", () => {
  const key = fc.constantFrom(
    "metadata",
    "spec",
    "name",
    "priority",
    "rules",
    "matches",
    "targets",
    "model",
    "value",
    "x",
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom<unknown>(null, "", "a", 1, -1, 1.5, true),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(key, tie("value"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(value, value, (objectives, modelRewrites) => {
      const file = readEndpoints(JSON.stringify({ endpoints: [], objectives, modelRewrites }));
      const invalid = [...file.objectives, ...file.modelRewrites].filter(({ object }) => object === undefined);
      expect(file.problemCount).toBeGreaterThanOrEqual(invalid.length);
    }),
  );
});
