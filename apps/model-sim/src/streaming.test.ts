import { get, request } from "node:http";
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

async function stream(sim: ModelSim, path: string, body: object): Promise<Response> {
  return await fetch(sim.url + path, { method: "POST", body: JSON.stringify({ ...body, stream: true }) });
}

/** The data of each event of a complete stream. */
function events(text: string): string[] {
  expect(text.endsWith("\n\n")).toBe(true);
  return text
    .slice(0, -2)
    .split("\n\n")
    .map((event) => {
      expect(event).toMatch(/^data: /);
      return event.slice(6);
    });
}

const prompt = { prompt: "Which track is free?" };

test("a streamed completion has one event per token and ends with [DONE]", async () => {
  const sim = await start();
  const reply = await stream(sim, "/v1/completions", { ...prompt, max_tokens: 4 });
  expect(reply.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(reply.headers.get("x-model-sim-server")).toBe("sim-1");
  const data = events(await reply.text());
  expect(data.at(-1)).toBe("[DONE]");
  const chunks = data.slice(0, -1).map((event) => JSON.parse(event));
  expect(chunks).toHaveLength(4);
  for (const chunk of chunks) {
    expect(chunk).toMatchObject({ id: chunks[0].id, object: "text_completion", model: "base" });
    expect(chunk.usage).toBeUndefined();
  }
  expect(chunks.map((chunk) => chunk.choices[0].finish_reason)).toEqual([null, null, null, "length"]);
});

test("a stream's text is the text of the JSON reply to the same request", async () => {
  const sim = await start();
  const whole = await fetch(`${sim.url}/v1/completions`, { method: "POST", body: JSON.stringify(prompt) });
  const { choices } = JSON.parse(await whole.text());
  const data = events(await (await stream(sim, "/v1/completions", prompt)).text());
  const text = data.slice(0, -1).map((event) => JSON.parse(event).choices[0].text);
  expect(text.join("")).toBe(choices[0].text);
});

test("a streamed chat opens with the role and closes with the finish reason", async () => {
  const sim = await start();
  const messages = [{ role: "user", content: "Hello" }];
  const reply = await stream(sim, "/v1/chat/completions", { messages, max_completion_tokens: 2 });
  const chunks = events(await reply.text())
    .slice(0, -1)
    .map((event) => JSON.parse(event));
  expect(chunks.map((chunk) => chunk.choices[0])).toMatchObject([
    { delta: { role: "assistant", content: "" }, finish_reason: null },
    { delta: { content: expect.stringMatching(/^... $/) }, finish_reason: null },
    { delta: { content: expect.stringMatching(/^...\.$/) }, finish_reason: "length" },
  ]);
  expect(chunks[0].object).toBe("chat.completion.chunk");
});

test("include_usage adds one chunk with usage and no choice, continuous_usage_stats puts it in every chunk", async () => {
  const sim = await start();
  const ask = async (streamOptions: object) => {
    const reply = await stream(sim, "/v1/completions", {
      prompt: "abcdefgh",
      max_tokens: 2,
      stream_options: streamOptions,
    });
    return events(await reply.text())
      .slice(0, -1)
      .map((event) => JSON.parse(event));
  };
  const usage = {
    prompt_tokens: 2,
    total_tokens: 4,
    completion_tokens: 2,
    prompt_tokens_details: { cached_tokens: 0 },
  };
  const last = await ask({ include_usage: true });
  expect(last).toHaveLength(3);
  expect(last[2]).toMatchObject({ choices: [], usage });
  const each = await ask({ include_usage: true, continuous_usage_stats: true });
  expect(each.map((chunk) => chunk.usage.completion_tokens)).toEqual([1, 2, 2]);
});

test("the stream interval puts several tokens into an event, but the first token goes out alone", async () => {
  const sim = await start({ streamIntervalTokens: 4 });
  const data = events(await (await stream(sim, "/v1/completions", { ...prompt, max_tokens: 11 })).text());
  const lengths = data.slice(0, -1).map((event) => JSON.parse(event).choices[0].text.length / 4);
  expect(lengths).toEqual([1, 4, 4, 2]);
});

test("the headers of a stream come before its first token", async () => {
  const sim = await start({ timeScale: 1, stepMs: 60_000 });
  const abort = new AbortController();
  const body = JSON.stringify({ ...prompt, stream: true });
  const reply = await fetch(`${sim.url}/v1/completions`, { method: "POST", body, signal: abort.signal });
  expect(reply.status).toBe(200);
  expect(sim.stats().generatedTokens).toBe(0);
  abort.abort();
});

test("a client that goes away frees the blocks of its request, streamed or not, running or waiting", async () => {
  const sim = await start({ timeScale: 10, maxRunningRequests: 2 });
  const abort = new AbortController();
  const replies = [true, false, true, false].map((streamed) =>
    fetch(`${sim.url}/v1/completions`, {
      method: "POST",
      body: JSON.stringify({ ...prompt, max_tokens: 30_000, stream: streamed }),
      signal: abort.signal,
    })
      .then((reply) => reply.text())
      .catch(() => "gone"),
  );
  await expect.poll(() => sim.stats()).toMatchObject({ runningRequests: 2, waitingRequests: 2 });
  expect(sim.stats().usedBlocks).toBeGreaterThan(0);
  abort.abort();
  expect(await Promise.all(replies)).toEqual(["gone", "gone", "gone", "gone"]);
  const idle = { openRequests: 0, runningRequests: 0, waitingRequests: 0, usedBlocks: 0, reservedBlocks: 0 };
  await expect.poll(() => sim.stats()).toMatchObject({ ...idle, abortedRequests: 4 });
});

test("a client that goes away in the middle of its body leaves nothing behind", async () => {
  const sim = await start();
  await new Promise<void>((resolve) => {
    const headers = { "content-length": 1000 };
    const half = request({ port: sim.port, host: "127.0.0.1", method: "POST", path: "/v1/completions", headers });
    half.on("error", () => resolve());
    half.write('{"prompt":', () => half.destroy(new Error("gone")));
  });
  await expect.poll(() => sim.stats()).toMatchObject({ openRequests: 0, finishedRequests: 0 });
});

test("a client that stops reading gets the rest in fewer events when it reads again, and nothing is lost", async () => {
  // Long names make events of 1 KB, so that the answer is larger than the sockets' buffers.
  const model = "m".repeat(256);
  const tokens = 39_000;
  const sim = await start({ model, timeScale: 1000, stepMs: 1 });
  const body = JSON.stringify({ ...prompt, max_tokens: tokens, stream: true, cache_salt: "s" });
  const options = { port: sim.port, host: "127.0.0.1", method: "POST", path: "/v1/completions" };
  const text = await new Promise<string>((resolve, reject) => {
    const asked = request({ ...options, headers: { "x-request-id": "r".repeat(128) } }, (reply) => {
      reply.pause();
      const finished = setInterval(() => {
        if (sim.stats().finishedRequests === 0) return;
        clearInterval(finished);
        let received = "";
        reply.setEncoding("utf8");
        reply.on("data", (chunk: string) => {
          received += chunk;
        });
        reply.on("end", () => resolve(received));
        reply.resume();
      }, 20);
    });
    asked.on("error", reject);
    asked.end(body);
  });
  const data = events(text);
  expect(data.at(-1)).toBe("[DONE]");
  const texts = data.slice(0, -1).map((event) => JSON.parse(event).choices[0].text);
  expect(texts.join("")).toHaveLength(4 * tokens);
  expect(texts.length).toBeLessThan(tokens);
});

test("three hundred streams at once all get their answers", async () => {
  const sim = await start({ timeScale: 20, maxRunningRequests: 64 });
  const replies = await Promise.all(
    Array.from({ length: 300 }, async (_, i) => {
      const reply = await stream(sim, "/v1/completions", { prompt: `question ${i}`, max_tokens: 20 });
      return events(await reply.text()).length;
    }),
  );
  expect(new Set(replies)).toEqual(new Set([21]));
  expect(sim.stats()).toMatchObject({ finishedRequests: 300, abortedRequests: 0, usedBlocks: 0 });
});

test("requests follow each other on one connection", async () => {
  const sim = await start();
  const { Agent } = await import("node:http");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number | undefined>();
  for (let i = 0; i < 3; i += 1) {
    await new Promise<void>((resolve, reject) => {
      const asked = get(`${sim.url}/health`, { agent }, (reply) => {
        ports.add(reply.socket.localPort);
        reply.resume();
        reply.on("end", resolve);
      });
      asked.on("error", reject);
    });
  }
  agent.destroy();
  expect(ports.size).toBe(1);
});
