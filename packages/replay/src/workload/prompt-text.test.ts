import { expect, test } from "vitest";
import { openAiRequest } from "./prompt-text.ts";
import { buildWorkload, type Segment } from "./workload.ts";

function bodiesOf(prompts: readonly (readonly Segment[])[]) {
  const workload = buildWorkload(
    "texts",
    prompts.map((prompt, i) => ({ atMs: 0, prompt, output: { id: -1 - i, tokens: 10 + i } })),
    16,
  );
  return workload.requests.map((request) => {
    const { path, body } = openAiRequest(workload, request, 'a "model"');
    return { path, ...(JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>) };
  });
}

test("a prompt without roles is a completion of 4.3 bytes for each token", () => {
  const [only] = bodiesOf([[{ id: 1, tokens: 1000 }]]);
  expect(only).toMatchObject({ path: "/v1/completions", model: 'a "model"', max_tokens: 10, stream: true });
  expect(only!["prompt" as never]).toHaveLength(4300);
});

test("the limit of the answer is the longest of all and tells nothing about one request", () => {
  const bodies = bodiesOf([[{ id: 1, tokens: 5 }], [{ id: 2, tokens: 5 }]]);
  expect(bodies.map((body) => body["max_tokens" as never])).toEqual([11, 11]);
});

test("texts share a beginning as far as contents do", () => {
  const [a, b, c] = bodiesOf([
    [{ id: 1, tokens: 1000 }],
    [
      { id: 1, tokens: 700 },
      { id: 2, tokens: 300 },
    ],
    [{ id: 3, tokens: 1000 }],
  ]).map((body) => String(body["prompt" as never]));
  const shared = (x: string, y: string): number => [...x].findIndex((char, i) => char !== y[i]);
  expect(shared(a!, b!)).toBeGreaterThanOrEqual(3010);
  expect(shared(a!, b!)).toBeLessThan(3030);
  expect(shared(a!, c!)).toBeLessThan(4);
});

test("segments of one role in a row are one message of a chat", () => {
  const [only] = bodiesOf([
    [
      { id: 1, tokens: 10, role: "system" },
      { id: 2, tokens: 20, role: "user" },
      { id: 3, tokens: 30, role: "user" },
    ],
  ]);
  const messages = only!["messages" as never] as readonly { role: string; content: string }[];
  expect(only!.path).toBe("/v1/chat/completions");
  expect(messages.map(({ role, content }) => [role, content.length])).toEqual([
    ["system", 43],
    ["user", 86 + 129],
  ]);
});
