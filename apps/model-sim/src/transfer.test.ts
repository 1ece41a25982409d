import { expect, onTestFinished, test } from "vitest";
import type { ModelSimOptions } from "./options.ts";
import { type ModelSim, startModelSim } from "./start-model-sim.ts";

const prompt = Array.from({ length: 400 }, (_, i) => `word${i}`).join(" ");

async function start(options: ModelSimOptions = {}): Promise<ModelSim> {
  const sim = await startModelSim({ timeScale: 50, ...options });
  onTestFinished(() => sim.stop());
  return sim;
}

async function ask(sim: ModelSim, body: object, path = "/v1/completions", headers: Record<string, string> = {}) {
  const response = await fetch(`${sim.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ prompt, max_tokens: 1, ...body }),
  });
  const text = await response.text();
  const json = (text.startsWith("{") ? JSON.parse(text) : {}) as {
    choices?: { finish_reason: string }[];
    usage?: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details: { cached_tokens: number } };
    kv_transfer_params?: Record<string, unknown>;
    error?: { message: string };
  };
  return { status: response.status, text, json };
}

const keep = { do_remote_decode: true, do_remote_prefill: false };

test("a prefill says where its cache is, and decode takes the prompt as computed", async () => {
  const prefill = await start({ role: "prefill" });
  const decode = await start({ role: "decode" });
  const first = await ask(prefill, { kv_transfer_params: keep });
  const params = first.json.kv_transfer_params!;
  expect(params).toMatchObject({
    do_remote_prefill: true,
    do_remote_decode: false,
    remote_host: "127.0.0.1",
    remote_port: prefill.port,
    remote_num_tokens: first.json.usage!.prompt_tokens,
  });
  expect(params["remote_block_ids"]).toHaveLength(Math.ceil(first.json.usage!.prompt_tokens / 16));
  const second = await ask(decode, { kv_transfer_params: params, max_tokens: 4 });
  expect(second.json.usage!.prompt_tokens_details.cached_tokens).toBe(first.json.usage!.prompt_tokens - 1);
  expect(second.json.usage!.completion_tokens).toBe(4);
  expect(second.json).not.toHaveProperty("kv_transfer_params");
  // What was received can be shared.
  const third = await ask(decode, {});
  expect(third.json.usage!.prompt_tokens_details.cached_tokens).toBeGreaterThan(0);
});

test.each([
  ["offloading", { kv_transfer_params: { remote_prefiller: { kv_request_id: "x" } } }],
  ["SGLang", { bootstrap_host: "h", bootstrap_port: 1, bootstrap_room: 2 }],
])("a decode server takes the prompt of %s as computed", async (_name, fields) => {
  const { json } = await ask(await start({ role: "decode" }), fields);
  expect(json.usage!.prompt_tokens_details.cached_tokens).toBe(json.usage!.prompt_tokens - 1);
});

test("a server refuses the stage that is not its own", async () => {
  const decode = await start({ role: "decode" });
  expect((await ask(decode, { kv_transfer_params: keep })).status).toBe(400);
  const prefill = await start({ role: "prefill" });
  const refused = await ask(prefill, { kv_transfer_params: { do_remote_prefill: true } });
  expect([refused.status, refused.json.error?.message]).toEqual([
    400,
    "This server has the role prefill, but kv_transfer_params asks for a decode.",
  ]);
});

test("a prompt that is cached less than the threshold is declined, as JSON and as a stream", async () => {
  const sim = await start();
  const declined = await ask(sim, { cache_hit_threshold: 0.5 });
  expect(declined.json.choices![0]!.finish_reason).toBe("cache_threshold");
  expect(declined.json.usage!.completion_tokens).toBe(0);
  const stream = await ask(sim, { cache_hit_threshold: 0.5, stream: true });
  expect(stream.text).toMatch(/"finish_reason":"cache_threshold".*\n\ndata: \[DONE\]\n\n$/s);
  expect((await ask(sim, { cache_hit_threshold: 0 })).json.choices![0]!.finish_reason).toBe("length");
  expect((await ask(sim, { cache_hit_threshold: 0.5 })).json.choices![0]!.finish_reason).toBe("length");
  const forced = await ask(sim, {}, "/v1/completions", { "x-cache-threshold-finish-reason": "true" });
  expect(forced.json.choices![0]!.finish_reason).toBe("cache_threshold");
  expect((await ask(sim, { cache_hit_threshold: 2 })).status).toBe(400);
});

test("a transfer takes its time, longer for a longer prompt", async () => {
  const sim = await start({ timeScale: 1, kvTransferMs: 50, kvTransferPer1kTokensMs: 100, stepMs: 0.01 });
  const startedMs = performance.now();
  const { json } = await ask(sim, { kv_transfer_params: { do_remote_prefill: true } });
  const least = 50 + (100 * json.usage!.prompt_tokens) / 1000;
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(least - 1);
});

test("a transfer fails as told: an error, computing, or no end", async () => {
  const receive = { kv_transfer_params: { do_remote_prefill: true } };
  const sim = await start({ control: { kvTransfer: { mode: "fail" } } });
  expect((await ask(sim, receive)).status).toBe(500);
  expect((await ask(sim, {})).status).toBe(200);
  await sim.control({ kvTransfer: { mode: "recompute" } });
  const other = { ...receive, cache_salt: "other" };
  expect((await ask(sim, other)).json.usage!.prompt_tokens_details.cached_tokens).toBe(0);
  await sim.control({ kvTransfer: { mode: "hang" } });
  const hanging = new AbortController();
  const hung = fetch(`${sim.url}/v1/completions`, {
    method: "POST",
    body: JSON.stringify({ prompt, max_tokens: 1, ...receive }),
    signal: hanging.signal,
  });
  await expect.poll(() => sim.stats().openRequests).toBe(1);
  hanging.abort();
  await expect(hung).rejects.toThrow();
  await sim.control({ kvTransfer: null });
  expect((await ask(sim, receive)).status).toBe(200);
});

test("the bootstrap page names the server's engine, as the transfer parameters do", async () => {
  const sim = await start();
  const page = (await (await fetch(`${sim.url}/query`)).json()) as Record<string, { engine_id: string }>;
  const { json } = await ask(sim, { kv_transfer_params: keep });
  expect(page["0"]!.engine_id).toBe(json.kv_transfer_params!["remote_engine_id"]);
});
