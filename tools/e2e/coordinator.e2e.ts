import { afterAll, beforeAll, expect, test } from "vitest";
import { CoordinatorStack, type Role } from "./coordinator-stack.ts";
import { metricOn } from "./pd-stack.ts";
import { type Answer, post, until } from "./stack.ts";

const model = "Qwen/Qwen3-8B";
const path = "/v1/chat/completions";
const words = (seed: string, count: number): string => Array.from({ length: count }, (_, i) => `${seed}${i}`).join(" ");
const chat = (seed: string, extra: Record<string, unknown> = {}) => ({
  model,
  max_tokens: 8,
  messages: [{ role: "user", content: words(seed, 200) }],
  ...extra,
});
const cachedTokens = (text: string): number =>
  (JSON.parse(text) as { usage: { prompt_tokens_details: { cached_tokens: number } } }).usage.prompt_tokens_details
    .cached_tokens;

const stack = new CoordinatorStack();
beforeAll(async () => {
  await stack.start(["encode", "prefill", "prefill", "decode", "decode"]);
  await until("a request goes the whole way", async () => {
    return (await post(stack.envoyUrl, path, chat(`warm-up-${Math.random()}`))).status === 200;
  });
});
afterAll(() => stack.stop());

/** Requests that servers of a role have finished. */
async function served(role: Role): Promise<number> {
  const ports = stack.roleServers.filter((server) => server.role === role).map(({ port }) => port);
  const counts = await Promise.all(ports.map((port) => metricOn(port, "vllm:request_success_total", "length")));
  return counts.reduce((sum, count) => sum + count, 0);
}

const conditional = (result: string): Promise<number> =>
  metricOn(stack.coordinatorMetricsPort, "pd_coordinator_conditional_decodes_total", `result="${result}"`);

interface Effects {
  readonly prefills: number;
  readonly encodes: number;
  readonly hits: number;
  readonly misses: number;
}

async function counts(): Promise<Effects> {
  const [prefills, encodes] = [await served("prefill"), await served("encode")];
  return { prefills, encodes, hits: await conditional("hit"), misses: await conditional("miss") };
}

/** Sends a request and waits until it has had these effects on servers and coordinator. */
async function sent(expected: Partial<Effects>, send: () => Promise<Answer>): Promise<Answer> {
  const before = await counts();
  const answer = await send();
  const added = async (): Promise<Effects> => {
    const { prefills, encodes, hits, misses } = await counts();
    return {
      prefills: prefills - before.prefills,
      encodes: encodes - before.encodes,
      hits: hits - before.hits,
      misses: misses - before.misses,
    };
  };
  await expect
    .poll(added, { message: answer.text })
    .toEqual({ prefills: 0, encodes: 0, hits: 0, misses: 0, ...expected });
  return answer;
}

test("a prompt that nobody has cached is prefilled on one server and decoded on another, which takes its cache", async () => {
  const answer = await sent({ prefills: 1, misses: 1 }, () => post(stack.envoyUrl, path, chat("miss")));
  expect(answer.status, answer.text).toBe(200);
  expect(answer.server).toMatch(/^decode-/);
  expect(cachedTokens(answer.text)).toBeGreaterThan(200);
});

test("the same prompt once more is decoded at once, where it is cached", async () => {
  const first = await post(stack.envoyUrl, path, chat("hit"));
  const answer = await sent({ hits: 1 }, () => post(stack.envoyUrl, path, chat("hit")));
  expect([answer.status, answer.server], answer.text).toEqual([200, first.server]);
});

test("a stream comes as such, on a miss and on a hit", async () => {
  for (const expected of [{ prefills: 1, misses: 1 }, { hits: 1 }]) {
    const answer = await sent(expected, () => post(stack.envoyUrl, path, chat("stream", { stream: true })));
    expect(answer.status, answer.text).toBe(200);
    const events = answer.text.split("\n\n").filter((event) => event !== "");
    expect(events.at(-1)).toBe("data: [DONE]");
    expect(events.length).toBeGreaterThan(8);
  }
});

test("a completion of text and one of token ids go the same way", async () => {
  const completions = "/v1/completions";
  for (const prompt of [words("completion", 100), Array.from({ length: 100 }, (_, i) => i + 1)]) {
    const answer = await sent({ prefills: 1, misses: 1 }, () =>
      post(stack.envoyUrl, completions, { model, prompt, max_tokens: 4 }),
    );
    expect(answer.status, answer.text).toBe(200);
    expect(cachedTokens(answer.text)).toBeGreaterThan(50);
  }
});

test("token ids are generated from, with the prefill server's cache", async () => {
  const body = { model, token_ids: Array.from({ length: 300 }, (_, i) => i + 7), sampling_params: { max_tokens: 5 } };
  const answer = await sent({ prefills: 1, misses: 1 }, () => post(stack.envoyUrl, "/inference/v1/generate", body));
  expect(answer.status, answer.text).toBe(200);
  expect(answer.server).toMatch(/^decode-/);
  const { choices } = JSON.parse(answer.text) as { choices: { token_ids: number[] }[] };
  expect(choices[0]!.token_ids).toHaveLength(5);
  expect(cachedTokens(answer.text)).toBe(299);
});

test("each image is encoded by an encode server, then the chat is prefilled and decoded", async () => {
  const image = (n: number) => ({ type: "image_url", image_url: { url: `data:image/png;base64,AAA${n}` } });
  const content = [{ type: "text", text: words("image", 50) }, image(1), image(2)];
  const body = { model, max_tokens: 4, messages: [{ role: "user", content }] };
  const answer = await sent({ prefills: 1, encodes: 2, misses: 1 }, () => post(stack.envoyUrl, path, body));
  expect(answer.status, answer.text).toBe(200);
  expect(cachedTokens(answer.text)).toBeGreaterThan(128);
});

test("what the coordinator refuses reaches no model server", async () => {
  const answer = await sent({}, () =>
    post(stack.envoyUrl, path, {
      model,
      messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "http://169.254.169.254/" } }] }],
    }),
  );
  expect(answer.status).toBe(400);
});

test("a client's own EPP-Profile goes past the coordinator, and its Prefer does not reach a phase", async () => {
  const direct = await sent({}, () => post(stack.envoyUrl, path, chat("direct"), { "epp-profile": "decode" }));
  expect(direct.status).toBe(200);
  const asked = await sent({ prefills: 1, misses: 1 }, () =>
    post(stack.envoyUrl, path, chat("prefer"), { prefer: "if-available" }),
  );
  expect(asked.status, asked.text).toBe(200);
});

test("fifty requests at once, JSON and streams, all arrive", async () => {
  const before = await served("prefill");
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => post(stack.envoyUrl, path, chat(`many-${i}-`, { stream: i % 2 === 0 }))),
  );
  expect(answers.filter(({ status }) => status !== 200).map(({ text }) => text)).toEqual([]);
  answers.forEach(({ text, server }, i) => {
    expect(server).toMatch(/^decode-[12]$/);
    if (i % 2 === 0) expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    else expect(cachedTokens(text)).toBeGreaterThan(200);
  });
  expect(new Set(answers.map(({ server }) => server)).size).toBe(2);
  await until("all are counted", async () => (await served("prefill")) === before + 50);
  const failures = await (await fetch(`http://127.0.0.1:${stack.coordinatorMetricsPort}/metrics`)).text();
  expect(failures).not.toMatch(/pd_coordinator_phase_failures_total\{phase="(?:encode|prefill|decode)"/);
  expect(await metricOn(stack.coordinatorMetricsPort, "pd_coordinator_internal_errors_total")).toBe(0);
});
