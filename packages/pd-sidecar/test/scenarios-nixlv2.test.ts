import { expect } from "vitest";
import { at, Bench, sse } from "./support/bench.ts";
import { events } from "./support/fake-server.ts";
import { chat, completion, pair, prefilled, scenarios } from "./support/scenario.ts";

const keep = {
  do_remote_decode: true,
  do_remote_prefill: false,
  remote_engine_id: null,
  remote_block_ids: null,
  remote_host: null,
  remote_port: null,
};
const generatePath = "/inference/v1/generate";

scenarios([
  {
    id: "S1",
    outcome: "without headers the decode server gets the body byte for byte",
    async run() {
      const { bench, d } = await pair();
      const body = '{ "model":"m",\t"max_tokens": 9007199254740993, "messages":[] }\n';
      const answer = await bench.post(body);
      expect(bench.order).toEqual(["D"]);
      expect(d.last.text).toBe(body);
      expect(answer.text).toBe(JSON.stringify(completion));
      expect(answer.way).toBe("decode");
    },
  },
  ...["", ", "].map((value) => ({
    id: "S2",
    outcome: `a prefill header of ${JSON.stringify(value)} is none`,
    async run() {
      const { bench, d } = await pair({ prefillerSampling: true });
      await bench.post(chat, { "x-prefiller-host-port": value });
      expect(bench.order).toEqual(["D"]);
      expect(d.last.text).toBe(JSON.stringify(chat));
    },
  })),
  {
    id: "S3",
    outcome: "of several prefill servers the first is used",
    async run() {
      const { bench, p } = await pair();
      await bench.post(chat, { "x-prefiller-host-port": `${p.hostPort},127.0.0.1:1` });
      expect(bench.order).toEqual(["P", "D"]);
    },
  },
  {
    id: "S4",
    outcome: "with sampling any prefill server is used, blanks trimmed, and the header goes no further",
    async run() {
      const { bench, p, d } = await pair({ prefillerSampling: true });
      const q = await bench.server("Q", { body: prefilled });
      for (let i = 0; i < 40; i++) {
        await bench.post(chat, { "x-prefiller-host-port": ` ${p.hostPort} ,  ${q.hostPort} ` });
      }
      expect(p.seen.length).toBeGreaterThan(0);
      expect(q.seen.length).toBeGreaterThan(0);
      for (const { headers } of [...p.seen, ...q.seen, ...d.seen]) {
        expect(headers).not.toHaveProperty("x-prefiller-host-port");
      }
    },
  },
  {
    id: "S5",
    outcome: "prefill makes one token and keeps its cache; decode gets its parameters verbatim",
    async run() {
      const { bench, p, d, pf } = await pair();
      const answer = await bench.post(chat, pf);
      expect(bench.order).toEqual(["P", "D"]);
      expect(p.last.json).toEqual({
        ...chat,
        kv_transfer_params: keep,
        max_tokens: 1,
        max_completion_tokens: 1,
        min_tokens: 1,
        stream: false,
      });
      expect(d.last.json).toEqual({ ...chat, kv_transfer_params: prefilled.kv_transfer_params });
      expect(p.last.headers["x-request-id"]).toBe(d.last.headers["x-request-id"]);
      expect(at(answer.json, "usage", "prompt_tokens_details", "cached_tokens")).toBe(7);
      expect(answer.way).toBe("prefill-decode");
    },
  },
  {
    id: "S6",
    outcome: "prefill does not stream; decode does, with the usage event rewritten",
    async run() {
      const usage = { prompt_tokens: 9, completion_tokens: 2, prompt_tokens_details: null };
      const { bench, p, d, pf } = await pair(
        {},
        [{ body: prefilled }],
        [
          events(
            '{"choices":[{"delta":{"content":"a"}}]}',
            `{"choices":[],"usage":${JSON.stringify(usage)}}`,
            "[DONE]",
          ),
        ],
      );
      const streamed = { ...chat, stream: true, stream_options: { include_usage: true } };
      const answer = await bench.post(streamed, pf);
      expect(p.last.json).toMatchObject({ stream: false });
      expect(p.last.json).not.toHaveProperty("stream_options");
      expect(d.last.json).toMatchObject({ stream: true, stream_options: { include_usage: true } });
      expect(sse(answer.text)).toEqual([
        { choices: [{ delta: { content: "a" } }] },
        { choices: [], usage: { ...usage, prompt_tokens_details: { cached_tokens: 7 } } },
        "[DONE]",
      ]);
    },
  },
  {
    id: "S7",
    outcome: "a prefill server that reports no cached tokens has none",
    async run() {
      const { bench, pf } = await pair(
        {},
        [{ body: { ...prefilled, usage: {} } }],
        [{ body: { ...completion, usage: { prompt_tokens_details: { cached_tokens: 49 } } } }],
      );
      const answer = await bench.post(chat, pf);
      expect(at(answer.json, "usage", "prompt_tokens_details", "cached_tokens")).toBe(0);
    },
  },
  {
    id: "S8",
    outcome: "limits of the client reach the decode server only",
    async run() {
      const { bench, p, d, pf } = await pair();
      await bench.post({ ...chat, max_tokens: 100, min_tokens: 5 }, pf);
      expect(p.last.json).toMatchObject({ max_tokens: 1, min_tokens: 1 });
      expect(d.last.json).toMatchObject({ max_tokens: 100, min_tokens: 5 });
    },
  },
  ...[100, undefined].map((limit) => ({
    id: "S9",
    outcome: `/v1/responses with max_output_tokens ${limit} caps prefill by that name`,
    async run() {
      const { bench, p, d, pf } = await pair();
      const body = { model: "m", input: "hi", ...(limit === undefined ? {} : { max_output_tokens: limit }) };
      await bench.post(body, pf, "/v1/responses");
      expect(p.last.json).toEqual({ ...body, max_output_tokens: 1, stream: false, kv_transfer_params: keep });
      expect(d.last.json).toEqual({ ...body, kv_transfer_params: prefilled.kv_transfer_params });
      expect(p.last.url).toBe("/v1/responses");
    },
  })),
  {
    id: "S10",
    outcome: "/v1/messages has the fields of a chat",
    async run() {
      const { bench, p, d, pf } = await pair();
      await bench.post(chat, pf, "/v1/messages");
      expect(p.last.json).toMatchObject({ max_tokens: 1, max_completion_tokens: 1, min_tokens: 1, stream: false });
      expect(d.last.json).toEqual({ ...chat, kv_transfer_params: prefilled.kv_transfer_params });
    },
  },
  {
    id: "S11",
    outcome: "generate without sampling_params gets them for prefill only",
    async run() {
      const { bench, p, d, pf } = await pair();
      await bench.post({ token_ids: [1] }, pf, generatePath);
      expect(p.last.json).toEqual({
        token_ids: [1],
        sampling_params: { max_tokens: 1, min_tokens: 1 },
        kv_transfer_params: keep,
        stream: false,
      });
      expect(d.last.json).toEqual({ token_ids: [1], kv_transfer_params: prefilled.kv_transfer_params });
    },
  },
  {
    id: "S12",
    outcome: "generate with sampling_params keeps them for decode",
    async run() {
      const { bench, p, d, pf } = await pair();
      await bench.post({ token_ids: [1], sampling_params: { temperature: 0.7 } }, pf, generatePath);
      expect(p.last.json).toMatchObject({ sampling_params: { temperature: 0.7, max_tokens: 1, min_tokens: 1 } });
      expect(d.last.json).toMatchObject({ sampling_params: { temperature: 0.7 } });
      expect(at(d.last.json, "sampling_params")).toEqual({ temperature: 0.7 });
    },
  },
  {
    id: "S13",
    outcome: "a failed prefill is returned as it is",
    async run() {
      const { bench, p, pf } = await pair({}, [{ status: 502, body: "P says no", headers: { "x-p": "1" } }]);
      const answer = await bench.post(chat, pf);
      expect(bench.order).toEqual(["P"]);
      expect(p.seen).toHaveLength(1);
      expect([answer.status, answer.text, answer.headers.get("x-p")]).toEqual([502, "P says no", "1"]);
    },
  },
  {
    id: "S14",
    outcome: "a prefill server that is overloaded for a moment is asked again",
    async run() {
      const { bench, pf } = await pair({ prefillMaxRetries: 2, prefillRetryBackoffMs: 1 }, [
        { status: 503 },
        { body: prefilled },
      ]);
      expect((await bench.post(chat, pf)).status).toBe(200);
      expect(bench.order).toEqual(["P", "P", "D"]);
    },
  },
  {
    id: "S15",
    outcome: "retries end",
    async run() {
      const { bench, pf } = await pair({ prefillMaxRetries: 2, prefillRetryBackoffMs: 1 }, [{ status: 502 }]);
      expect((await bench.post(chat, pf)).status).toBe(502);
      expect(bench.order).toEqual(["P", "P", "P"]);
    },
  },
  {
    id: "S16",
    outcome: "an error of the prefill server's own is final",
    async run() {
      const { bench, pf } = await pair({ prefillMaxRetries: 2, prefillRetryBackoffMs: 1 }, [{ status: 500 }]);
      expect((await bench.post(chat, pf)).status).toBe(500);
      expect(bench.order).toEqual(["P"]);
    },
  },
  {
    id: "S17",
    outcome: "a prefill server that is not there is tried as often, then 502",
    async run() {
      const { bench, p, pf } = await pair({ prefillMaxRetries: 2, prefillRetryBackoffMs: 1 });
      await p.close();
      const answer = await bench.post(chat, pf);
      expect(answer.status).toBe(502);
      expect(answer.json).toMatchObject({ object: "error", type: "BadGateway", code: 502 });
      expect(bench.order).toEqual([]);
      expect(await bench.metric("pd_sidecar_stage_failures_total", { stage: "prefill" })).toBe(3);
    },
  },
  {
    id: "S18",
    outcome: "an answer of prefill without parameters gives decode null",
    async run() {
      const { bench, d, pf } = await pair({}, [{ body: { id: "p" } }]);
      expect((await bench.post(chat, pf)).status).toBe(200);
      expect(d.last.json).toEqual({ ...chat, kv_transfer_params: null });
      expect(await bench.metric("pd_sidecar_kv_transfer_failures_total", { reason: "no-params" })).toBe(1);
    },
  },
  {
    id: "S19",
    outcome: "an answer of prefill that is no JSON is a 400",
    async run() {
      const { bench, pf } = await pair({}, [{ body: "<html>" }]);
      const answer = await bench.post(chat, pf);
      expect(answer.status).toBe(400);
      expect(answer.json).toMatchObject({ object: "error", type: "BadRequestError", param: "", code: 400 });
      expect(bench.order).toEqual(["P"]);
    },
  },
  {
    id: "S20",
    outcome: "a decode server that is not there is a 503",
    async run() {
      const { bench, d } = await pair();
      await d.close();
      const answer = await bench.post(chat);
      expect(answer.status).toBe(503);
      expect(answer.json).toMatchObject({ object: "error", type: "ServiceUnavailable", code: 503 });
    },
  },
  {
    id: "S21",
    outcome: "a body that is no JSON is a 400 that says why",
    async run() {
      const { bench, pf } = await pair();
      const answer = await bench.post("{bad", pf);
      expect(answer.status).toBe(400);
      expect(at(answer.json, "message")).toBe(
        "invalid JSON: invalid character 'b' looking for beginning of object key string",
      );
      expect(bench.order).toEqual([]);
    },
  },
  {
    id: "S22",
    outcome: "a prefill server outside the pool is refused",
    async run() {
      const { bench, pf } = await pair({
        targets: { pool: undefined, poolRequired: false, hosts: ["10.0.0.1", "pod-1"], file: undefined },
      });
      const answer = await bench.post(chat, pf);
      expect([answer.status, answer.text]).toEqual([403, "Forbidden: prefill target not allowed by SSRF protection"]);
      expect(bench.order).toEqual([]);
    },
  },
  {
    id: "S23",
    outcome: "a prefill server in the pool is used, whatever its port",
    async run() {
      const bench = new Bench();
      const p = await bench.server("P", { body: prefilled });
      const d = await bench.server("D", { body: completion });
      const opened: unknown[] = [];
      const pool = { namespace: "ns", name: "pool", group: "inference.networking.k8s.io" };
      await bench.start(
        [d],
        { targets: { pool, poolRequired: true, hosts: undefined, file: undefined } },
        {
          poolTargets: {
            open: async (reference) => {
              opened.push(reference);
              return {
                listed: Promise.resolve(),
                missing: () => undefined,
                wasKnown: () => true,
                has: (host) => host === "127.0.0.1",
                stop: () => {},
              };
            },
          },
        },
      );
      expect((await bench.post(chat, { "x-prefiller-host-port": p.hostPort })).status).toBe(200);
      expect(bench.order).toEqual(["P", "D"]);
      expect(opened).toEqual([pool]);
    },
  },
  {
    id: "S24",
    outcome: "a scheme before the address does not matter",
    async run() {
      const { bench, p } = await pair();
      await bench.post(chat, { "x-prefiller-host-port": `http://${p.hostPort}` });
      expect(bench.order).toEqual(["P", "D"]);
    },
  },
]);
