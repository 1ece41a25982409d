import { expect, onTestFinished, test } from "vitest";
import type { ModelSimOptions } from "./options.ts";
import { type ModelSim, startModelSim } from "./start-model-sim.ts";
import { imagePlaceholderToken, tokensPerImage } from "./text/image-input.ts";

async function start(options: ModelSimOptions = {}): Promise<ModelSim> {
  const sim = await startModelSim({ timeScale: 50, ...options });
  onTestFinished(() => sim.stop());
  return sim;
}

async function ask(sim: ModelSim, path: string, body: object) {
  const response = await fetch(`${sim.url}${path}`, { method: "POST", body: JSON.stringify(body) });
  const text = await response.text();
  return { status: response.status, text, json: text.startsWith("data") ? {} : (JSON.parse(text) as Reply) };
}

interface Reply {
  token_ids?: number[];
  features?: {
    mm_hashes: { image: string[] };
    mm_placeholders: { image: { offset: number; length: number }[] };
    kwargs_data: { image: string[] };
  } | null;
  choices?: { token_ids: number[]; finish_reason: string }[];
  usage?: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
  kv_transfer_params?: object;
  ec_transfer_params?: Record<string, object>;
}

const textChat = { messages: [{ role: "user", content: "Which track is free? ".repeat(20) }] };
const imageChat = {
  messages: [
    {
      role: "user",
      content: [
        { type: "image_url", image_url: { url: "data:image/png;base64,AA" } },
        { type: "text", text: "what is it?" },
        { type: "image_url", image_url: { url: "data:image/png;base64,BB" } },
      ],
    },
  ],
};
const chatPath = "/v1/chat/completions";
const generatePath = "/inference/v1/generate";

test("a chat is rendered to the tokens that it is computed as", async () => {
  const sim = await start();
  const rendered = (await ask(sim, `${chatPath}/render`, textChat)).json;
  expect(rendered.features).toBeNull();
  const chat = await ask(sim, chatPath, { ...textChat, max_tokens: 1 });
  expect(chat.json.usage!.prompt_tokens).toBe(rendered.token_ids!.length);
  // Sent as token ids, it is found in the cache.
  const again = await ask(sim, generatePath, { token_ids: rendered.token_ids, sampling_params: { max_tokens: 1 } });
  expect(again.json.usage!.prompt_tokens_details.cached_tokens).toBeGreaterThan(0);
});

test("a completion is rendered to a list of one prompt", async () => {
  const sim = await start();
  const { json } = await ask(sim, "/v1/completions/render", { prompt: "Which track?" });
  expect(json).toEqual([{ token_ids: [expect.any(Number), expect.any(Number), expect.any(Number)] }]);
  expect((await ask(sim, "/v1/completions/render", {})).status).toBe(400);
});

test("images are rendered as placeholders with hashes, and as token ids they are the same prompt", async () => {
  const sim = await start();
  const { token_ids: ids = [], features } = (await ask(sim, `${chatPath}/render`, imageChat)).json;
  const { mm_hashes: hashes, mm_placeholders: places, kwargs_data: kwargs } = features!;
  expect([hashes.image.length, places.image.length, kwargs.image.length]).toEqual([2, 2, 2]);
  expect(new Set(hashes.image).size).toBe(2);
  for (const { offset, length } of places.image) {
    expect(length).toBe(tokensPerImage);
    expect(new Set(ids.slice(offset, offset + length))).toEqual(new Set([imagePlaceholderToken]));
  }
  await ask(sim, chatPath, { ...imageChat, max_tokens: 1 });
  const cached = async (features: object | undefined): Promise<number> => {
    const { json } = await ask(sim, generatePath, { token_ids: ids, features, sampling_params: { max_tokens: 1 } });
    return json.usage!.prompt_tokens_details.cached_tokens;
  };
  expect(await cached(features!)).toBeGreaterThan(2 * tokensPerImage - 16);
  // Other images are another prompt.
  expect(await cached({ ...features, mm_hashes: { image: ["x", "y"] } })).toBeLessThan(tokensPerImage);
});

test("generating answers with token ids, as one document and as a stream", async () => {
  const sim = await start();
  const body = { token_ids: [1, 2, 3], sampling_params: { max_tokens: 4 } };
  const { json } = await ask(sim, generatePath, body);
  expect(json.choices![0]).toMatchObject({ finish_reason: "length" });
  expect(json.choices![0]!.token_ids).toHaveLength(4);
  const stream = await ask(sim, generatePath, { ...body, stream: true });
  const events = stream.text.split("\n\n").filter((event) => event !== "");
  expect(events.pop()).toBe("data: [DONE]");
  const ids = events.flatMap((event) => (JSON.parse(event.slice(6)) as Reply).choices![0]!.token_ids);
  expect(ids).toEqual(json.choices![0]!.token_ids);
});

test("generating takes the parameters of a transfer in extra_args", async () => {
  const prefill = await start({ role: "prefill" });
  const ids = Array.from({ length: 100 }, (_, i) => i);
  const ask1 = (sim: ModelSim, kv: object) =>
    ask(sim, generatePath, {
      token_ids: ids,
      sampling_params: { max_tokens: 1, extra_args: { kv_transfer_params: kv } },
    });
  const first = await ask1(prefill, { do_remote_decode: true, do_remote_prefill: false });
  const decode = await start({ role: "decode" });
  const second = await ask1(decode, first.json.kv_transfer_params!);
  expect(second.json.usage!.prompt_tokens_details.cached_tokens).toBe(99);
});

test.each([
  [{}],
  [{ token_ids: [] }],
  [{ token_ids: ["a"] }],
  [{ token_ids: [1], features: { mm_hashes: { image: ["h"] } } }],
  [
    {
      token_ids: [1],
      features: { mm_hashes: { image: ["h"] }, mm_placeholders: { image: [{ offset: 1, length: 1 }] } },
    },
  ],
  [{ token_ids: [1], sampling_params: { extra_args: { ec_transfer_params: { h: {} } } } }],
])("%j cannot be generated from", async (body) => {
  expect((await ask(await start(), generatePath, body)).status).toBe(400);
});

test("an encode server says where each image's embedding is, and takes no other stage", async () => {
  const encode = await start({ role: "encode" });
  const { features } = (await ask(encode, `${chatPath}/render`, imageChat)).json;
  const { json } = await ask(encode, chatPath, { ...imageChat, max_tokens: 1 });
  const where = { peer_host: "127.0.0.1", peer_port: encode.port, size_bytes: expect.any(Number) };
  expect(Object.keys(json.ec_transfer_params!)).toEqual(features!.mm_hashes.image);
  for (const each of Object.values(json.ec_transfer_params!)) expect(each).toMatchObject(where);
  const kept = { ...imageChat, max_tokens: 1, kv_transfer_params: { do_remote_decode: true } };
  expect((await ask(encode, chatPath, kept)).status).toBe(400);
  const prefill = await start({ role: "prefill" });
  const told = { ...kept, ec_transfer_params: json.ec_transfer_params };
  expect((await ask(prefill, chatPath, told)).status).toBe(200);
});
