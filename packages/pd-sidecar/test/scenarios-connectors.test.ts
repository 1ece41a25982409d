import { expect } from "vitest";
import { p2pPortOf } from "../src/connectors/kv-source.ts";
import { makeTarget } from "../src/upstream/target.ts";
import { at, Bench, until } from "./support/bench.ts";
import { type Answer, events } from "./support/fake-server.ts";
import { chat, completion, pair, scenarios } from "./support/scenario.ts";

const belowThreshold = { ...completion, choices: [{ index: 0, message: {}, finish_reason: "cache_threshold" }] };
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const slow: Answer = (_seen, res) => void setTimeout(() => res.writeHead(200).end("{}"), 200);
const source = "x-kv-cache-source-host-port";

/** A bootstrap server and prefill server in one, as the simulated server is. */
const mooncakePrefill: Answer = (seen) =>
  seen.url === "/query" ? { body: { "0": { engine_id: "engine-0" }, "1": { engine_id: "engine-1" } } } : { body: {} };

scenarios([
  {
    id: "S25",
    outcome:
      "shared-storage: prefill makes one token without a threshold, decode has the client's body with threshold 0",
    async run() {
      const { bench, p, d, pf } = await pair({ kvConnector: "shared-storage" });
      await bench.post(chat, pf);
      expect(bench.order).toEqual(["P", "D"]);
      expect(p.last.json).toEqual({ ...chat, max_tokens: 1, max_completion_tokens: 1, cache_hit_threshold: 0 });
      expect(d.last.json).toEqual({ ...chat, cache_hit_threshold: 0 });
    },
  },
  ...[false, true].map((stream) => ({
    id: "S26",
    outcome: `shared-storage: a decode server with enough cache answers alone, ${stream ? "as a stream" : "as JSON"}`,
    async run() {
      const streamed = events(
        '{"choices":[{"finish_reason":null}]}',
        '{"choices":[{"finish_reason":"stop"}]}',
        "[DONE]",
      );
      const { bench, d, pf } = await pair(
        { kvConnector: "shared-storage" },
        [{ body: {} }],
        [stream ? streamed : { body: completion }],
      );
      const body = { ...chat, cache_hit_threshold: 0.8, stream };
      const answer = await bench.post(body, pf);
      expect(bench.order).toEqual(["D"]);
      expect(d.last.text).toBe(JSON.stringify(body));
      expect(answer.text).toContain(stream ? "[DONE]" : '"hi"');
      expect(answer.way).toBe("decode-cached");
    },
  })),
  ...[false, true].map((stream) => ({
    id: "S27",
    outcome: `shared-storage: a decode server that declines gets the request again, ${stream ? "as a stream" : "as JSON"}`,
    async run() {
      const declines: Answer = stream
        ? (_seen, res) => {
            res.writeHead(200, { "content-type": "text/event-stream", "x-first": "1" });
            res.end('data: {"choices":[{"finish_reason":"cache_threshold"}]}\n\ndata: [DONE]\n\n');
          }
        : { body: belowThreshold, headers: { "x-first": "1" } };
      const { bench, d, pf } = await pair(
        { kvConnector: "shared-storage" },
        [{ body: {} }],
        [declines, stream ? events('{"choices":[{"delta":{"content":"hi"}}]}', "[DONE]") : { body: completion }],
      );
      const answer = await bench.post({ ...chat, cache_hit_threshold: 0.8, stream }, pf);
      expect(bench.order).toEqual(["D", "P", "D"]);
      expect(d.last.json).toMatchObject({ cache_hit_threshold: 0 });
      expect(answer.text).toContain("hi");
      expect(answer.text).not.toContain("cache_threshold");
      expect(answer.headers.get("x-first")).toBeNull();
      expect(answer.way).toBe("prefill-decode");
    },
  })),
  {
    id: "S28",
    outcome: "shared-storage: an error of the first decode is returned",
    async run() {
      const { bench, pf } = await pair({ kvConnector: "shared-storage" }, [{}], [{ status: 500, body: "broken" }]);
      const answer = await bench.post({ ...chat, cache_hit_threshold: 0.8 }, pf);
      expect(bench.order).toEqual(["D"]);
      expect([answer.status, answer.text]).toEqual([500, "broken"]);
    },
  },
  {
    id: "S29",
    outcome: "sglang: both get one body at the same time, and a slow prefill does not matter",
    async run() {
      const { bench, p, d, pf } = await pair({ kvConnector: "sglang", sglangBootstrapPort: 9001 }, [slow]);
      const answer = await bench.post(chat, pf);
      expect(answer.text).toBe(JSON.stringify(completion));
      await until("prefill was asked", () => p.seen.length === 1);
      expect(p.seen[0]!.text).toBe(d.seen[0]!.text);
      expect(d.last.json).toMatchObject({ ...chat, bootstrap_host: "127.0.0.1", bootstrap_port: 9001 });
      expect(d.last.text).toMatch(/"bootstrap_room":1[0-9]{18}[,}]/);
      // A float64 would lose digits of nearly all rooms.
      for (let i = 0; i < 10; i++) await bench.post(chat, pf);
      const rooms = d.seen.map(({ text }) => /"bootstrap_room":([0-9]+)/.exec(text)![1]!);
      expect(rooms.some((room) => String(Number(room)) !== room)).toBe(true);
      expect(new Set(rooms).size).toBe(rooms.length);
      await until("prefill finishes", () =>
        bench.metric("pd_sidecar_stage_duration_seconds_count", { stage: "prefill" }).then(Boolean),
      );
      expect(p.seen[0]!.cut).toBe(false);
    },
  },
  {
    id: "S30",
    outcome: "mooncake: both get one transfer id and the engine that prefill's bootstrap names",
    async run() {
      const { bench, p, d, pf } = await pairOfMooncake();
      await bench.post(chat, pf);
      expect(bench.order[0]).toBe("P");
      const [query, prefill] = p.seen;
      expect([query!.method, query!.url]).toEqual(["GET", "/query"]);
      const rank = prefill!.headers["x-data-parallel-rank"];
      const params = at(prefill!.json, "kv_transfer_params") as Record<string, unknown>;
      expect(params).toEqual({
        do_remote_prefill: false,
        do_remote_decode: true,
        transfer_id: expect.stringMatching(/^xfer-/),
      });
      expect(prefill!.json).toEqual({ ...chat, max_tokens: 1, stream: false, kv_transfer_params: params });
      expect(d.last.json).toEqual({
        ...chat,
        kv_transfer_params: {
          do_remote_prefill: true,
          do_remote_decode: false,
          transfer_id: params["transfer_id"],
          remote_bootstrap_addr: `http://${p.hostPort}`,
          remote_engine_id: `engine-${String(rank)}`,
        },
      });
    },
  },
  ...([{ status: 404 }, { body: { "0": {} } }] as const).map((answer) => ({
    id: "S31",
    outcome: `mooncake: a bootstrap that answers ${JSON.stringify(answer)} is a 502`,
    async run() {
      const { bench, pf } = await pairOfMooncake(answer);
      const reply = await bench.post(chat, pf);
      expect(reply.status).toBe(502);
      expect(reply.json).toMatchObject({ type: "BadGateway" });
      expect(bench.order).toEqual(["P"]);
    },
  })),
  {
    id: "S32",
    outcome: "offloading: both get one request id, decode also where prefill's cache is",
    async run() {
      const { bench, p, d, pf } = await pair({ kvConnector: "offloading" });
      await bench.post(chat, pf);
      await until("both were asked", () => bench.calls.length === 2);
      const id = at(p.last.json, "kv_transfer_params", "remote_decoder", "kv_request_id");
      expect(id).toMatch(uuid);
      expect(p.last.json).toEqual({
        ...chat,
        max_tokens: 1,
        stream: false,
        kv_transfer_params: { remote_decoder: { kv_request_id: id } },
      });
      expect(d.last.json).toEqual({
        ...chat,
        kv_transfer_params: {
          remote_prefiller: { kv_request_id: id, remote_host: "127.0.0.1", remote_port: 7777 },
        },
      });
    },
  },
  {
    id: "S33",
    outcome: "offloading: only prefill learns of another source",
    async run() {
      const { bench, p, d, pf } = await pair({ kvConnector: "offloading" });
      await bench.post(chat, { ...pf, [source]: "10.1.2.3:8000" });
      await until("both were asked", () => bench.calls.length === 2);
      const params = at(p.last.json, "kv_transfer_params") as Record<string, unknown>;
      expect(params["remote_kv_source"]).toEqual({
        kv_request_id: expect.stringMatching(uuid),
        remote_host: "10.1.2.3",
        remote_port: 7777,
      });
      expect(at(params, "remote_kv_source", "kv_request_id")).not.toBe(at(params, "remote_decoder", "kv_request_id"));
      expect(at(d.last.json, "kv_transfer_params")).not.toHaveProperty("remote_kv_source");
      expect(d.last.headers).not.toHaveProperty(source);
    },
  },
  ...["", "http://"].map((scheme) => ({
    id: "S34",
    outcome: `offloading: prefill itself is no source, written ${scheme === "" ? "plainly" : "with a scheme"}`,
    async run() {
      const { bench, p, pf } = await pair({ kvConnector: "offloading" });
      await bench.post(chat, { ...pf, [source]: `${scheme}${p.hostPort}` });
      await until("both were asked", () => bench.calls.length === 2);
      expect(at(p.last.json, "kv_transfer_params")).not.toHaveProperty("remote_kv_source");
    },
  })),
  {
    id: "S35",
    outcome: "offloading: a source alone goes to decode, in the place of the client's parameters",
    async run() {
      const { bench, d } = await pair({ kvConnector: "offloading" });
      await bench.post({ ...chat, kv_transfer_params: { mine: 1 } }, { [source]: "10.1.2.3:8000" });
      expect(bench.order).toEqual(["D"]);
      expect(d.last.json).toEqual({
        ...chat,
        kv_transfer_params: {
          remote_kv_source: { kv_request_id: expect.stringMatching(uuid), remote_host: "10.1.2.3", remote_port: 7777 },
        },
      });
    },
  },
  ...["not-a-host-port", ":8000"].map((value) => ({
    id: "S36",
    outcome: `offloading: a source ${value} is ignored`,
    async run() {
      const { bench, d } = await pair({ kvConnector: "offloading" });
      await bench.post(chat, { [source]: value });
      expect(d.last.text).toBe(JSON.stringify(chat));
      expect(await bench.metric("pd_sidecar_refused_targets_total", { role: "kv-source" })).toBe(1);
    },
  })),
  {
    id: "S37",
    outcome: "offloading: this rank itself is no source, another rank of the pod is",
    async run() {
      const bench = new Bench();
      const d = await bench.server("D", { body: completion });
      const d1 = await bench.server("D1", { body: completion });
      const { ports } = await bench.start([d, d1], { kvConnector: "offloading", podIp: "127.0.0.1" });
      await bench.post(chat, { [source]: `127.0.0.1:${ports[0]}` });
      expect(d.last.text).toBe(JSON.stringify(chat));
      await bench.post(chat, { [source]: `127.0.0.1:${ports[1]}` });
      expect(at(d.last.json, "kv_transfer_params", "remote_kv_source", "remote_host")).toBe("127.0.0.1");
    },
  },
  ...[false, true].map((enableP2pPull) => ({
    id: "S38",
    outcome: `nixlv2 ${enableP2pPull ? "with" : "without"} --enable-p2p-pull ${enableP2pPull ? "names" : "ignores"} the source`,
    async run() {
      const { bench, p, pf } = await pair({ enableP2pPull });
      await bench.post(chat, { ...pf, [source]: "10.1.2.3:8000" });
      const params = at(p.last.json, "kv_transfer_params") as Record<string, unknown>;
      expect(params).toHaveProperty("do_remote_decode", true);
      expect("remote_kv_source" in params).toBe(enableP2pPull);
      expect(Object.keys(params)).toHaveLength(enableP2pPull ? 7 : 6);
    },
  })),
  ...(
    [
      [8002, 7779],
      [8004, 7777],
      [7999, 7777],
    ] as const
  ).map(([port, expected]) => ({
    id: "S39",
    outcome: `the cache of a target on port ${port} is on ${expected}`,
    async run() {
      const ports = { basePort: 7777, listenPort: 8000, ranks: 4 };
      expect(p2pPortOf(makeTarget("10.0.0.1", port), ports)).toBe(expected);
      expect(p2pPortOf(makeTarget("10.0.0.1", port), { ...ports, ranks: 1 })).toBe(7777);
    },
  })),
]);

/** The bootstrap port is the prefill server's own. */
async function pairOfMooncake(query?: Answer) {
  const bench = new Bench();
  const p = await bench.server("P", query ?? mooncakePrefill);
  const d = await bench.server("D", { body: completion });
  await bench.start([d], { kvConnector: "mooncake", mooncakeBootstrapPort: p.port });
  return { bench, p, d, pf: { "x-prefiller-host-port": p.hostPort } };
}
