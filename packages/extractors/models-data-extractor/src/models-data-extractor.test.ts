import { type PollingExtractor, SERVED_MODELS } from "@pointsman/core";
import { buildEndpoint, buildPlugin, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import plugin from "./index.ts";
import { maxModels, readModels } from "./read-models.ts";

pluginContract(plugin, { testFile: import.meta.url });

const key = SERVED_MODELS.from();

function extract(...answers: readonly unknown[]) {
  const { instance } = buildPlugin(plugin);
  const endpoint = buildEndpoint(0);
  const problems = answers.map((answer, at) =>
    // The contract above has checked the role.
    (instance as PollingExtractor).extract(
      Buffer.from(typeof answer === "string" ? answer : JSON.stringify(answer)),
      endpoint,
      at + 1,
    ),
  );
  return { problems, models: endpoint.values[key.index], atMs: endpoint.writtenAtMs[key.index] };
}

test("the list becomes an attribute, adapters with their base model", () => {
  const { problems, models } = extract({
    object: "list",
    data: [
      { id: "llama", object: "model", created: 1_700_000_000, owned_by: "vllm", root: "/m", permission: [{}] },
      { id: "adapter", parent: "llama" },
    ],
  });
  expect(problems).toEqual([undefined]);
  expect(models).toEqual([
    { id: "llama", object: "model", createdAtSeconds: 1_700_000_000, ownedBy: "vllm", parent: undefined },
    { id: "adapter", object: undefined, createdAtSeconds: undefined, ownedBy: undefined, parent: "llama" },
  ]);
});

test("a server without models serves none, which is known", () => {
  expect(extract({ data: [] })).toMatchObject({ problems: [undefined], models: [] });
});

test.each<[unknown, RegExp]>([
  ["{", /is not JSON/],
  [{}, /no list "data"/],
  [{ data: {} }, /no list "data"/],
  ["null", /no list "data"/],
])("the answer %j is reported and leaves the last list to grow stale", (answer, problem) => {
  const { problems, models, atMs } = extract({ data: [{ id: "llama" }] }, answer);
  expect(problems[1]).toMatch(problem);
  expect(models).toMatchObject([{ id: "llama" }]);
  expect(atMs).toBe(1);
});

test("an entry without a usable id is left out and reported", () => {
  const { problems, models } = extract({ data: [{ id: "" }, 7, { id: "x".repeat(513) }, { id: "llama" }] });
  expect(problems).toEqual(["data[0] has no usable id"]);
  expect(models).toMatchObject([{ id: "llama" }]);
});

test("of a list that is too long the first models count, and that is reported", () => {
  const data = Array.from({ length: maxModels + 1 }, (_, i) => ({ id: `m${i}` }));
  const { problems, models } = extract({ data });
  expect(problems).toEqual(["the list has more than 1000 models; the others are left out"]);
  expect(models).toHaveLength(maxModels);
  expect(extract({ data: data.slice(1) }).problems).toEqual([undefined]);
});

test("under another name it writes an attribute of that name", () => {
  const { instance } = buildPlugin(plugin, { name: "mine" });
  const endpoint = buildEndpoint(0);
  (instance as PollingExtractor).extract(Buffer.from('{"data":[{"id":"a"}]}'), endpoint, 1);
  expect(endpoint.values[SERVED_MODELS.from("mine").index]).toMatchObject([{ id: "a" }]);
});

test("whatever the answer, reading it ends", () => {
  fc.assert(fc.property(fc.json(), (text) => void readModels(Buffer.from(text))));
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void readModels(bytes)));
  fc.assert(
    fc.property(fc.array(fc.record({ id: fc.string() }, { requiredKeys: [] })), (data) => {
      const { models } = readModels(Buffer.from(JSON.stringify({ data })));
      expect(models?.map(({ id }) => id)).toEqual(data.flatMap(({ id = "" }) => (id === "" ? [] : [id])));
    }),
  );
});
