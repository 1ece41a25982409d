import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type ModelSim, type ModelSimOptions, startModelSim } from "./index.ts";

const running: ModelSim[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((sim) => sim.stop()));
});

async function start(options: ModelSimOptions = {}): Promise<ModelSim> {
  const sim = await startModelSim({ name: "sim-1", model: "base", timeScale: 100, ...options });
  running.push(sim);
  return sim;
}

async function post(sim: ModelSim, path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(sim.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
}

const chat = { messages: [{ role: "user", content: "Which track is free?" }] };

test("a completion has text, usage and the server's name", async () => {
  const sim = await start();
  const reply = await post(sim, "/v1/completions", { model: "base", prompt: "x".repeat(40), max_tokens: 7 });
  expect(reply.status).toBe(200);
  expect(reply.headers.get("x-model-sim-server")).toBe("sim-1");
  expect(reply.headers.get("content-type")).toBe("application/json");
  expect(reply.body).toEqual({
    id: expect.stringMatching(/^cmpl-/),
    object: "text_completion",
    created: expect.any(Number),
    model: "base",
    choices: [{ index: 0, text: expect.any(String), logprobs: null, finish_reason: "length", stop_reason: null }],
    usage: {
      prompt_tokens: 10,
      total_tokens: 17,
      completion_tokens: 7,
      prompt_tokens_details: { cached_tokens: 0 },
    },
  });
  expect(reply.body.choices[0].text).toHaveLength(7 * 4);
});

test("a chat completion has an assistant message", async () => {
  const sim = await start();
  const reply = await post(sim, "/v1/chat/completions", { ...chat, max_tokens: 9, max_completion_tokens: 5 });
  expect(reply.body).toMatchObject({
    id: expect.stringMatching(/^chatcmpl-/),
    object: "chat.completion",
    model: "base",
    choices: [{ index: 0, message: { role: "assistant", content: expect.any(String) }, finish_reason: "length" }],
    usage: { completion_tokens: 5 },
  });
});

test("equal servers give equal answers to equal requests, another seed gives others", async () => {
  const [a, b, c] = await Promise.all([start(), start(), start({ seed: 2 })]);
  const texts = await Promise.all(
    [a, b, c].map(async (sim) => (await post(sim, "/v1/completions", { prompt: "abc" })).body.choices[0].text),
  );
  expect(texts[0]).toBe(texts[1]);
  expect(texts[0]).not.toBe(texts[2]);
});

test("without a limit an answer has the server's usual length and stops, or fills what the model has left", async () => {
  const sim = await start({ answerTokens: 12, maxModelTokens: 20 });
  const short = await post(sim, "/v1/completions", { prompt: "abcd" });
  expect(short.body).toMatchObject({ choices: [{ finish_reason: "stop" }], usage: { completion_tokens: 12 } });
  const long = await post(sim, "/v1/completions", { prompt: "abcd".repeat(15), max_tokens: null });
  expect(long.body).toMatchObject({ choices: [{ finish_reason: "length" }], usage: { completion_tokens: 5 } });
});

test("a prompt seen before is reported as cached, per salt and per adapter", async () => {
  const sim = await start({ loraAdapters: ["sql"] });
  const ask = async (more: object) => {
    const reply = await post(sim, "/v1/completions", { prompt: "y".repeat(4 * 100), max_tokens: 1, ...more });
    return reply.body.usage.prompt_tokens_details.cached_tokens;
  };
  expect(await ask({})).toBe(0);
  expect(await ask({})).toBe(96);
  expect(await ask({ cache_salt: "tenant" })).toBe(0);
  expect(await ask({ model: "sql" })).toBe(0);
  expect(await ask({ model: "sql" })).toBe(96);
  expect(sim.stats().cacheHitTokens).toBe(192);
});

test("a chat continued with the answer finds prompt and answer in the cache", async () => {
  const sim = await start({ blockTokens: 1 });
  const first = await post(sim, "/v1/chat/completions", { ...chat, max_tokens: 20 });
  const messages = [...chat.messages, first.body.choices[0].message, { role: "user", content: "And now?" }];
  const second = await post(sim, "/v1/chat/completions", { messages, max_tokens: 1 });
  const { prompt_tokens: promptTokens, completion_tokens: answerTokens } = first.body.usage;
  expect(second.body.usage.prompt_tokens_details.cached_tokens).toBe(promptTokens + answerTokens - 1);
});

test("a prompt can be given as token ids, alone or as the only one of a list", async () => {
  const sim = await start({ blockTokens: 4 });
  const ids = [1, 2, 3, 4, 5, 4_294_967_295];
  const plain = await post(sim, "/v1/completions", { prompt: ids, max_tokens: 1 });
  const listed = await post(sim, "/v1/completions", { prompt: [ids], max_tokens: 1 });
  const text = await post(sim, "/v1/completions", { prompt: ["abcd"], max_tokens: 1 });
  expect(plain.body.usage.prompt_tokens).toBe(6);
  expect(listed.body.usage).toMatchObject({ prompt_tokens: 6, prompt_tokens_details: { cached_tokens: 4 } });
  expect(text.body.usage.prompt_tokens).toBe(1);
});

test("messages may have text parts, tools, tool calls and no content next to them", async () => {
  const sim = await start();
  const messages = [
    {
      role: "user",
      content: [
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ],
    },
    { role: "assistant", content: null, tool_calls: [{ id: "1" }] },
    { role: "tool", content: "42" },
  ];
  const plain = await post(sim, "/v1/chat/completions", { messages, max_tokens: 1 });
  const withTools = await post(sim, "/v1/chat/completions", { messages, max_tokens: 1, tools: [{ type: "function" }] });
  expect(plain.status).toBe(200);
  expect(withTools.body.usage.prompt_tokens).toBeGreaterThan(plain.body.usage.prompt_tokens);
});

test("the caller's x-request-id becomes part of the id", async () => {
  const sim = await start();
  const reply = await post(sim, "/v1/completions", { prompt: "a", max_tokens: 1 }, { "x-request-id": 'r"1' });
  expect(reply.body.id).toBe('cmpl-r"1');
});

test("what is wrong with a request is answered in OpenAI's shape and names the field", async () => {
  const sim = await start({ maxModelTokens: 100 });
  const cases: readonly [path: string, body: unknown, status: number, param: string | null, message: string][] = [
    ["/v1/completions", '{"prompt": oops}', 400, null, "line 1, column 12"],
    ["/v1/completions", {}, 400, "prompt", "missing"],
    ["/v1/completions", { prompt: "" }, 400, "prompt", "empty"],
    ["/v1/completions", { prompt: 5 }, 400, "prompt", "a string or a list of token ids"],
    ["/v1/completions", { prompt: ["a", "b"] }, 400, "prompt", "one per request"],
    ["/v1/completions", { prompt: [1, -1] }, 400, "prompt", "token id"],
    ["/v1/completions", { prompt: "a", max_tokens: 0 }, 400, "max_tokens", "at least 1"],
    ["/v1/completions", { prompt: "a", max_tokens: "5" }, 400, "max_tokens", 'the string "5"'],
    ["/v1/completions", { prompt: "a", max_tokens: 100 }, 400, "max_tokens", "100 tokens in all"],
    ["/v1/completions", { prompt: "abcd".repeat(100) }, 400, "prompt", "leaves no room"],
    ["/v1/completions", { prompt: "a", n: 2 }, 400, "n", "one answer per request"],
    ["/v1/completions", { prompt: "a", stream: "yes" }, 400, "stream", "true or false"],
    ["/v1/completions", { prompt: "a", stream_options: {} }, 400, "stream_options", '"stream" is true'],
    ["/v1/completions", { prompt: "a", model: "other" }, 404, "model", "not served"],
    ["/v1/completions", { prompt: "a", model: 7 }, 400, "model", "a string"],
    ["/v1/chat/completions", {}, 400, "messages", "missing"],
    ["/v1/chat/completions", { messages: [] }, 400, "messages", "empty"],
    ["/v1/chat/completions", { messages: ["hi"] }, 400, "messages[0]", "an object"],
    ["/v1/chat/completions", { messages: [{ content: "a" }] }, 400, "messages[0].role", "non-empty string"],
    ["/v1/chat/completions", { messages: [{ role: "user" }] }, 400, "messages[0].content", "a string or a list"],
    [
      "/v1/chat/completions",
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: {} }] }] },
      400,
      "messages[0].content[0]",
      "image_url.url",
    ],
    [
      "/v1/chat/completions",
      { messages: [{ role: "user", content: [{ type: "input_audio", input_audio: {} }] }] },
      400,
      "messages[0].content[0]",
      "text and images only",
    ],
    ["/tokenize", { prompt: 3 }, 400, "prompt", "a string"],
    ["/v1/embeddings", {}, 404, null, "/v1/completions"],
    ["/health", {}, 405, null, "GET, not POST"],
  ];
  for (const [path, body, status, param, message] of cases) {
    const reply = await post(sim, path, body);
    expect([path, body, reply.status]).toEqual([path, body, status]);
    const { error } = reply.body;
    expect(error).toEqual({ message: expect.any(String), type: expect.stringMatching(/Error$/), param, code: status });
    expect(error.message).toContain(message);
  }
  expect((await post(sim, "/v1/completions", { prompt: "a", max_tokens: 1 })).status).toBe(200);
  expect(sim.stats()).toMatchObject({ openRequests: 0, usedBlocks: 0 });
});

test("a body over the limit gets 413, declared or not, and the connection goes on", async () => {
  const sim = await start({ maxBodyBytes: 1000 });
  const big = await post(sim, "/v1/completions", { prompt: "a".repeat(2000) });
  expect(big.status).toBe(413);
  expect(big.body.error).toMatchObject({ type: "PayloadTooLargeError", code: 413 });
  let unsent = 3;
  const chunks = new ReadableStream({
    pull(controller) {
      unsent -= 1;
      controller.enqueue(new Uint8Array(600));
      if (unsent === 0) controller.close();
    },
  });
  const streamed = new Request(`${sim.url}/v1/completions`, { method: "POST", body: chunks, duplex: "half" });
  expect((await fetch(streamed)).status).toBe(413);
  expect((await post(sim, "/v1/completions", { prompt: "a", max_tokens: 1 })).status).toBe(200);
});

test("a compressed body gets 415", async () => {
  const sim = await start();
  const reply = await post(sim, "/v1/completions", "{}", { "content-encoding": "gzip" });
  expect(reply.status).toBe(415);
});

test("requests over the limit of open ones get 503", async () => {
  const sim = await start({ maxOpenRequests: 1, control: { hang: "inference" } });
  const hung = new AbortController();
  const first = fetch(`${sim.url}/v1/completions`, { method: "POST", body: "{}", signal: hung.signal }).catch(
    () => "gone",
  );
  await expect.poll(() => sim.stats().openRequests).toBe(1);
  expect((await post(sim, "/v1/completions", { prompt: "a" })).status).toBe(503);
  hung.abort();
  expect(await first).toBe("gone");
  await expect.poll(() => sim.stats().openRequests).toBe(0);
});

test("the models are the base model and its adapters", async () => {
  const sim = await start({ loraAdapters: ["sql", "chat"], maxModelTokens: 500 });
  const reply = await fetch(`${sim.url}/v1/models`);
  const { object, data } = JSON.parse(await reply.text());
  expect(object).toBe("list");
  expect(data).toMatchObject([
    { id: "base", object: "model", parent: null, max_model_len: 500 },
    { id: "sql", object: "model", parent: "base" },
    { id: "chat", object: "model", parent: "base" },
  ]);
});

test("an adapter as model is served, named in the reply and shown in the metrics", async () => {
  const sim = await start({ loraAdapters: ["sql", "chat"], maxLoras: 1 });
  const reply = await post(sim, "/v1/completions", { model: "sql", prompt: "a", max_tokens: 2 });
  expect(reply.body.model).toBe("sql");
  expect(sim.stats().residentAdapters).toEqual(["sql"]);
  const page = await (await fetch(`${sim.url}/metrics`)).text();
  expect(page).toContain('vllm:lora_requests_info{max_lora="1",running_lora_adapters="sql",waiting_lora_adapters=""}');
});

test("/tokenize counts what the completion endpoints count", async () => {
  const sim = await start({ maxModelTokens: 500 });
  const prompt = "Which track is free?";
  const counted = await post(sim, "/tokenize", { prompt, return_token_strs: true });
  expect(counted.body).toMatchObject({
    count: 5,
    max_model_len: 500,
    token_strs: ["Whic", "h tr", "ack ", "is f", "ree?"],
  });
  expect(counted.body.tokens).toHaveLength(5);
  const again = await post(sim, "/v1/completions", { prompt: counted.body.tokens, max_tokens: 1 });
  expect(again.body.usage.prompt_tokens).toBe(5);
  const chatCounted = await post(sim, "/tokenize", { ...chat, model: "base" });
  const chatServed = await post(sim, "/v1/chat/completions", { ...chat, max_tokens: 1 });
  expect(chatCounted.body.count).toBe(chatServed.body.usage.prompt_tokens);
  expect(chatCounted.body.token_strs).toBeNull();
  const closed = await post(sim, "/tokenize", { ...chat, add_generation_prompt: false });
  expect(closed.body.count).toBeLessThan(chatCounted.body.count);
});

test("/health answers 200 with nothing in it, queries in the path are ignored", async () => {
  const sim = await start();
  const reply = await fetch(`${sim.url}/health?probe=1`);
  expect([reply.status, await reply.text()]).toEqual([200, ""]);
});

test("the metrics page is served as Prometheus text and changes with the work done", async () => {
  const sim = await start();
  const read = async () => {
    const reply = await fetch(`${sim.url}/metrics`);
    expect(reply.headers.get("content-type")).toContain("text/plain; version=0.0.4");
    return await reply.text();
  };
  expect(await read()).toContain('vllm:generation_tokens_total{engine="0",model_name="base"} 0.0\n');
  await post(sim, "/v1/completions", { prompt: "abcd", max_tokens: 3 });
  expect(await read()).toContain('vllm:generation_tokens_total{engine="0",model_name="base"} 3.0\n');
});

test("TensorRT-LLM metrics are also at that server's own path", async () => {
  const sim = await start({ engine: "trtllm-serve" });
  const page = await (await fetch(`${sim.url}/prometheus/metrics`)).text();
  expect(page).toContain("trtllm_num_requests_waiting{");
  expect(page).not.toContain("vllm:");
});

test("bytes that are not HTTP end their connection only", async () => {
  const sim = await start();
  const answer = await new Promise<string>((resolve, reject) => {
    let received = "";
    const socket = connect(sim.port, "127.0.0.1", () => socket.write("no http at all\r\n\r\n"));
    socket.on("data", (chunk) => {
      received += chunk.toString();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(received));
  });
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect((await fetch(`${sim.url}/health`)).status).toBe(200);
});

test("options that cannot be used are all reported, and nothing is started", async () => {
  await expect(
    startModelSim({ port: -1, kvBlocks: 1.5, name: "a b", loraAdapters: ["x", "x"], control: { slowFactor: 0 } }),
  ).rejects.toMatchObject({
    name: "ModelSimOptionsError",
    problems: [
      { option: "port", message: "must be an integer from 0 to 65535, not -1" },
      { option: "kvBlocks", message: "must be an integer from 1 to 4000000 (blocks), not 1.5" },
      { option: "name", message: expect.stringContaining("visible ASCII") },
      { option: "loraAdapters", message: "has a name twice: x" },
      { option: "control.slowFactor", message: "must be a number from 0.001 to 1000, not 0" },
    ],
  });
  await expect(startModelSim({ kvBlocks: 10, maxModelTokens: 161 })).rejects.toThrow(
    "maxModelTokens must not exceed the KV cache, 160 tokens, but is 161",
  );
  await expect(startModelSim({ kvBlocks: 1, blockTokens: 1 })).rejects.toThrow("kvBlocks gives a KV cache of 1 token");
});

test("a port that is taken rejects the start", async () => {
  const sim = await start();
  await expect(startModelSim({ port: sim.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  await expect(startModelSim({ controlPort: sim.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
});
