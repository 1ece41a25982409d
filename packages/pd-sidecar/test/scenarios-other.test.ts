import { expect } from "vitest";
import { at, Bench, sse } from "./support/bench.ts";
import type { Answer } from "./support/fake-server.ts";
import { chat, completion, pair, prefilled, scenarios } from "./support/scenario.ts";

const image = (url: string) => ({ type: "image_url", image_url: { url } });
const audio = { type: "input_audio", input_audio: { data: "AAAA", format: "wav" } };
const multimodal = (...content: unknown[]) => ({ ...chat, messages: [{ role: "user", content }] });
const threeImages = multimodal(
  { type: "text", text: "look" },
  image("http://a/1"),
  image("http://a/2"),
  image("http://a/3"),
);

const hang: Answer = () => {};
const ecp = (hash: string): Answer => ({
  body: `{"ec_transfer_params":{"${hash}":{"peer_host":"${hash}","size_bytes":9007199254740993}}}`,
});

/** Encode servers E1 and E2 beside P and D. */
async function encoders(options: Parameters<Bench["start"]>[1], e1: readonly Answer[], e2: readonly Answer[] = e1) {
  const bench = new Bench();
  const p = await bench.server("P", { body: prefilled });
  const d = await bench.server("D", { body: completion });
  const first = await bench.server("E1", ...e1);
  const second = await bench.server("E2", ...e2);
  await bench.start([d], options);
  const en = { "x-encoder-hosts-ports": `${first.hostPort},${second.hostPort}` };
  return { bench, p, d, first, second, en, pf: { "x-prefiller-host-port": p.hostPort } };
}

const chunk = (content: string, finish_reason: string, prompt_tokens: number, completion_tokens: number) => ({
  body: {
    id: `c-${content.trim()}`,
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason }],
    usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
  },
});
const twoChunks = [chunk("hello ", "length", 8, 5), chunk("world", "stop", 9, 5)];
const ten = { ...chat, max_tokens: 10 };

const moriio = {
  writeMode: true,
  parallelDispatch: true,
  parallelWaitTimeoutMs: 1000,
  localPodIp: "10.0.0.9",
  decodeNotifyPort: 61_005,
  prefillNotifyPort: 61_005,
  decodeHandshakePort: 6301,
  prefillHandshakePort: 6302,
  tpSize: 1,
  dpSize: 1,
  dpSizeLocal: 0,
  remoteHosts: [],
  decodeHosts: [],
  resolveTtlMs: 1000,
  resolveTimeoutMs: 1000,
} as const;

scenarios([
  {
    id: "S40",
    outcome: "ec-example: every image is encoded, round the encoders, then prefill and decode with threshold 0",
    async run() {
      const { bench, p, d, first, second, en, pf } = await encoders({ ecConnector: "ec-example" }, [{ body: {} }]);
      const answer = await bench.post(threeImages, { ...en, ...pf, authorization: "Bearer t" });
      expect(answer.text).toContain("hi");
      expect(first.seen).toHaveLength(2);
      expect(second.seen).toHaveLength(1);
      expect(bench.order.slice(3)).toEqual(["P", "D"]);
      const encoded = [...first.seen, ...second.seen].sort((a, b) => a.text.localeCompare(b.text));
      encoded.forEach((seen, i) => {
        expect(seen.url).toBe("/v1/chat/completions");
        expect(seen.json).toEqual({
          ...chat,
          messages: [{ role: "user", content: [image(`http://a/${i + 1}`)] }],
          max_tokens: 1,
          stream: false,
        });
        expect(seen.headers["x-request-id"]).toMatch(new RegExp(`-enc-${i}$`));
        expect(seen.headers.authorization).toBe("Bearer t");
      });
      expect(p.last.json).toMatchObject({ cache_hit_threshold: 0 });
      expect(d.last.json).toMatchObject({ cache_hit_threshold: 0 });
      expect(answer.way).toBe("encode-prefill-decode");
    },
  },
  ...(
    [
      ["the same image twice", [image("http://a/1"), image("http://a/1")], 1],
      ["the same inline audio twice", [audio, audio], 2],
    ] as const
  ).map(([what, parts, times]) => ({
    id: "S41",
    outcome: `${what} is encoded ${times === 1 ? "once" : "twice"}`,
    async run() {
      const { first, second, bench, en } = await encoders({ ecConnector: "ec-example" }, [{ body: {} }]);
      await bench.post(multimodal(...parts), en);
      expect(first.seen.length + second.seen.length).toBe(times);
    },
  })),
  {
    id: "S42",
    outcome: "ec-nixl: an answer without parameters adds none",
    async run() {
      const { bench, p, en, pf } = await encoders({ ecConnector: "ec-nixl" }, [ecp("h1")], [{ body: {} }]);
      await bench.post(multimodal(image("http://a/1"), image("http://a/2")), { ...en, ...pf });
      expect(Object.keys(at(p.last.json, "ec_transfer_params") as object)).toEqual(["h1"]);
      expect(p.last.text).toContain('"size_bytes":9007199254740993');
    },
  },
  {
    id: "S43",
    outcome: "ec-nixl: without any parameters there is no such field",
    async run() {
      const { bench, p, en, pf } = await encoders({ ecConnector: "ec-nixl" }, [{ body: { ec_transfer_params: null } }]);
      await bench.post(threeImages, { ...en, ...pf });
      expect(p.last.json).not.toHaveProperty("ec_transfer_params");
      expect(p.last.json).toMatchObject({ cache_hit_threshold: 0 });
    },
  },
  {
    id: "S44",
    outcome: "a failed encoder is a 502, and the others are cancelled",
    async run() {
      const { bench, second, en, pf } = await encoders(
        { ecConnector: "ec-example" },
        [{ status: 500, body: "no" }],
        [hang],
      );
      const answer = await bench.post(threeImages, { ...en, ...pf });
      expect(answer.status).toBe(502);
      expect(answer.json).toMatchObject({ type: "BadGateway", message: "encoding item 0 failed: status 500: no" });
      expect(bench.order).not.toContain("P");
      expect(bench.order).not.toContain("D");
      await expect.poll(() => second.seen.every((seen) => seen.cut)).toBe(true);
    },
  },
  {
    id: "S45",
    outcome: "text alone needs no encoder",
    async run() {
      const { bench, p, d, en, pf } = await encoders({ ecConnector: "ec-example" }, [{ body: {} }]);
      const answer = await bench.post(chat, { ...en, ...pf });
      expect(bench.order).toEqual(["P", "D"]);
      expect(p.last.json).toMatchObject({ cache_hit_threshold: 0 });
      expect(d.last.json).toMatchObject({ cache_hit_threshold: 0 });
      expect(answer.way).toBe("prefill-decode");
    },
  },
  {
    id: "S46",
    outcome: "without an EC connector encoders are ignored",
    async run() {
      const { bench, d, en, pf } = await encoders({}, [{ body: {} }]);
      await bench.post(threeImages, { ...en, ...pf });
      expect(bench.order).toEqual(["P", "D"]);
      expect(d.last.json).not.toHaveProperty("cache_hit_threshold");
      expect(d.last.headers).not.toHaveProperty("x-encoder-hosts-ports");
    },
  },
  {
    id: "S47",
    outcome: "encoders that are not allowed are dropped",
    async run() {
      const targets = { pool: undefined, poolRequired: false, hosts: ["127.0.0.1"], file: undefined };
      const { bench, pf } = await encoders({ ecConnector: "ec-example", targets }, [{ body: {} }]);
      await bench.post(threeImages, { ...pf, "x-encoder-hosts-ports": "10.0.0.1:1,10.0.0.2:1" });
      expect(bench.order).toEqual(["P", "D"]);
      expect(await bench.metric("pd_sidecar_refused_targets_total", { role: "encode" })).toBe(2);
    },
  },
  {
    id: "S48",
    outcome: "ec-nixl without prefill: decode gets the encoder's parameters",
    async run() {
      const { bench, d, en } = await encoders({ ecConnector: "ec-nixl" }, [ecp("h1")]);
      const answer = await bench.post(multimodal(image("http://a/1")), en);
      expect(bench.order).toEqual(["E1", "D"]);
      expect(d.last.json).toMatchObject({ cache_hit_threshold: 0, ec_transfer_params: { h1: { peer_host: "h1" } } });
      expect(answer.way).toBe("encode-decode");
    },
  },
  {
    id: "S49",
    outcome: "a long answer is made in chunks that continue one message",
    async run() {
      const { bench, d } = await pair({ decodeChunkTokens: 5 }, [], twoChunks);
      const answer = await bench.post({ ...ten, kv_transfer_params: { mine: 1 } });
      expect(d.seen).toHaveLength(2);
      expect(d.seen[0]!.json).toMatchObject({ max_tokens: 5, max_completion_tokens: 5, stream: false });
      expect(d.seen[1]!.json).toEqual({
        ...chat,
        messages: [...(chat["messages"] as unknown[]), { role: "assistant", content: "hello " }],
        max_tokens: 5,
        max_completion_tokens: 5,
        stream: false,
        continue_final_message: true,
        add_generation_prompt: false,
      });
      expect(at(answer.json, "choices")).toEqual([
        { index: 0, message: { role: "assistant", content: "hello world" }, finish_reason: "stop" },
      ]);
      expect(answer.json).toMatchObject({
        id: "c-hello",
        usage: { prompt_tokens: 8, completion_tokens: 10, total_tokens: 18 },
      });
    },
  },
  {
    id: "S50",
    outcome: "an answer shorter than a chunk is not touched",
    async run() {
      const { bench, d } = await pair({ decodeChunkTokens: 512 });
      await bench.post(ten);
      expect(d.seen.map((seen) => seen.text)).toEqual([JSON.stringify(ten)]);
    },
  },
  {
    id: "S51",
    outcome: "chunks are streamed as one answer",
    async run() {
      const { bench, d } = await pair({ decodeChunkTokens: 5 }, [], twoChunks);
      const answer = await bench.post({ ...ten, stream: true });
      expect(d.seen).toHaveLength(2);
      expect(answer.headers.get("content-type")).toContain("text/event-stream");
      const base = { id: "c-hello", created: 1, model: "m", object: "chat.completion.chunk" };
      expect(sse(answer.text)).toEqual([
        { ...base, choices: [{ index: 0, delta: { role: "assistant", content: "hello " }, finish_reason: null }] },
        { ...base, choices: [{ index: 0, delta: { content: "world" }, finish_reason: "stop" }] },
        { ...base, choices: [], usage: { prompt_tokens: 8, completion_tokens: 10, total_tokens: 18 } },
        "[DONE]",
      ]);
    },
  },
  {
    id: "S52",
    outcome: "an error of the first chunk is returned",
    async run() {
      const { bench, d } = await pair({ decodeChunkTokens: 5 }, [], [{ status: 502, body: "no" }]);
      const answer = await bench.post(ten);
      expect([answer.status, answer.text, d.seen.length]).toEqual([502, "no", 1]);
    },
  },
  {
    id: "S53",
    outcome: "rank 0 passes on to the rank that is named, and knows no other",
    async run() {
      const bench = new Bench();
      const d0 = await bench.server("D0", { body: completion });
      const d1 = await bench.server("D1", { body: completion });
      const { ports } = await bench.start([d0, d1], { podIp: "127.0.0.1" });
      expect((await bench.post(chat, { "x-data-parallel-host-port": `127.0.0.1:${ports[1]}` })).status).toBe(200);
      expect(bench.order).toEqual(["D1"]);
      expect((await bench.post(chat, { "x-data-parallel-host-port": "127.0.0.1:1" })).status).toBe(400);
      expect(bench.order).toEqual(["D1"]);
    },
  },
  {
    id: "S54",
    outcome: "MoRI-IO in parallel: a failed prefill is returned, never the decode server's answer",
    async run() {
      const late: Answer = (_seen, res) => void setTimeout(() => res.writeHead(500).end("P failed"), 100);
      const { bench, p, d, pf } = await pair({ moriio: { ...moriio, parallelWaitTimeoutMs: 20_000 } }, [late]);
      const answer = await bench.post(chat, pf);
      expect([answer.status, answer.text]).toEqual([500, "P failed"]);
      expect(d.seen).toHaveLength(1);
      expect(d.last.json).toMatchObject({
        ...chat,
        kv_transfer_params: {
          do_remote_prefill: true,
          remote_engine_id: "127.0.0.1:6302",
          remote_block_ids: [],
          remote_port: 6302,
          transfer_id: at(p.last.json, "kv_transfer_params", "transfer_id"),
        },
      });
      expect(p.last.json).toMatchObject({
        max_tokens: 1,
        kv_transfer_params: { remote_host: "10.0.0.9", remote_notify_port: 61005, remote_dp_rank: 0, tp_size: 1 },
      });
    },
  },
  {
    id: "S55",
    outcome: "MoRI-IO in parallel: servers that hang are given up after the timeout",
    async run() {
      const { bench, p, d, pf } = await pair({ moriio }, [hang], [hang]);
      const answer = await bench.post(chat, pf);
      expect(answer.status).toBe(504);
      expect(answer.json).toEqual({
        error: "decode aborted: prefill did not complete within the MoRI-IO parallel-dispatch KV-wait timeout",
      });
      await expect.poll(() => p.last.cut && d.last.cut).toBe(true);
    },
  },
  {
    id: "S56",
    outcome: "health needs no decode server; other pages come from it",
    async run() {
      const { bench, d } = await pair({}, [], [{ body: { data: [] } }]);
      const models = await fetch(`${bench.url}/v1/models?x=1`);
      expect([models.status, await models.text(), d.last.url]).toEqual([200, '{"data":[]}', "/v1/models?x=1"]);
      expect(models.headers.get("x-pd-way")).toBeNull();
      await d.close();
      const health = await fetch(`${bench.url}/health`);
      expect([health.status, await health.text()]).toEqual([200, ""]);
      expect((await fetch(`${bench.url}/health`, { method: "HEAD" })).status).toBe(200);
      expect((await fetch(`${bench.url}/v1/models`)).status).toBe(503);
    },
  },
]);
