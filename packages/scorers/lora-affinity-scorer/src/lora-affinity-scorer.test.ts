import { ACTIVE_MODELS, MAX_ACTIVE_MODELS, WAITING_MODELS } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  higherIsBetter,
  improvement,
  monotoneIn,
  pluginContract,
  scorerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import loraAffinityScorer from "./index.ts";
import { scoreAdapters } from "./lora-affinity-scorer.ts";

const model = fc.constantFrom("adapter-a", "adapter-b", "adapter-c", "base");
const models = fc.uniqueArray(model).map((names): ReadonlySet<string> => new Set(names));
const limits = fc.oneof({ weight: 4, arbitrary: fc.nat(6) }, { weight: 1, arbitrary: fc.double() });
const signals = [
  endpointSignal(ACTIVE_MODELS, models),
  endpointSignal(WAITING_MODELS, models),
  endpointSignal(MAX_ACTIVE_MODELS, limits),
];
const request = () => model.map((targetModel) => ({ targetModel }));

pluginContract(loraAffinityScorer, { testFile: import.meta.url });
scorerContract(loraAffinityScorer, { signals, request });
monotoneIn(loraAffinityScorer, improvement(MAX_ACTIVE_MODELS, higherIsBetter(fc.nat(6))), { signals, request });

const none: ReadonlySet<string> = new Set();
const a = new Set(["a"]);
const bc = new Set(["b", "c"]);

test.each([
  { name: "active: 1", active: a, waiting: none, maxActive: 1, score: 1 },
  { name: "active: 1, also when it waits and no room is left", active: a, waiting: a, maxActive: 1, score: 1 },
  { name: "room for one more: 0.8", active: bc, waiting: none, maxActive: 3, score: 0.8 },
  { name: "no room: 0", active: bc, waiting: none, maxActive: 2, score: 0 },
  { name: "waiting adapters take room: 0", active: bc, waiting: new Set(["d"]), maxActive: 3, score: 0 },
  { name: "waiting without room: 0.6", active: bc, waiting: a, maxActive: 2, score: 0.6 },
  { name: "waiting with room: 0.8", active: none, waiting: a, maxActive: 2, score: 0.8 },
  { name: "limit unknown counts as no room: 0", active: none, waiting: none, maxActive: undefined, score: 0 },
  { name: "limit unknown, adapter waits: 0.6", active: none, waiting: a, maxActive: undefined, score: 0.6 },
  { name: "limit unknown, adapter active: 1", active: a, waiting: none, maxActive: undefined, score: 1 },
  { name: "active adapters unknown count as no room: 0", active: undefined, waiting: none, maxActive: 9, score: 0 },
  { name: "waiting adapters unknown count as no room: 0", active: none, waiting: undefined, maxActive: 9, score: 0 },
  { name: "nothing known: 0", active: undefined, waiting: undefined, maxActive: undefined, score: 0 },
])("$name", ({ active, waiting, maxActive, score }) => {
  expect(scoreAdapters("a", active, waiting, maxActive)).toBe(score);
});

test("an adapter list older than the staleness threshold counts as unknown", () => {
  const { instance } = buildPlugin(loraAffinityScorer, { stalenessMs: 2000 });
  const adapters = (atMs: number) =>
    ({
      attributes: [
        [ACTIVE_MODELS, a, atMs],
        [WAITING_MODELS, none, atMs],
        [MAX_ACTIVE_MODELS, 4, atMs],
      ],
    }) as const;
  const out = new Float64Array(2);
  const endpoints = [buildEndpoint(0, adapters(8000)), buildEndpoint(1, adapters(7999))];
  instance.score!(buildRequest({ nowMs: 10_000, targetModel: "a" }), endpoints, out);
  expect([...out]).toEqual([1, 0]);
});

test("the model after rewriting counts, not the one in the body", () => {
  const { instance } = buildPlugin(loraAffinityScorer);
  const endpoints = [buildEndpoint(0, { attributes: [[ACTIVE_MODELS, a]] })];
  const out = new Float64Array(1);
  instance.score!(buildRequest({ body: { model: "alias" }, targetModel: "a" }), endpoints, out);
  expect([...out]).toEqual([1]);
});
