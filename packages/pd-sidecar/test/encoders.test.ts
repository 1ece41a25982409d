import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { at, Bench } from "./support/bench.ts";
import type { Answer } from "./support/fake-server.ts";
import { chat, completion, pair } from "./support/scenario.ts";

test("ranks have encoders of their own, which lead to their own decode server", async () => {
  const bench = new Bench();
  const d0 = await bench.server("D0", { body: completion });
  const d1 = await bench.server("D1", { body: completion });
  const e = await bench.server("E", { body: {} });
  const { ports } = await bench.start([d0, d1], { ecConnector: "ec-example" });
  bench.url = `http://127.0.0.1:${ports[1]}`;
  const image = { type: "image_url", image_url: { url: "http://a/1" } };
  const body = { ...chat, messages: [{ role: "user", content: [image] }] };
  await bench.post(body, { "x-encoder-hosts-ports": e.hostPort });
  expect(bench.order).toEqual(["E", "D1"]);
});

test("shared-storage with encoders uses the prefill server", async () => {
  const { bench, p, pf } = await pair({ kvConnector: "shared-storage", ecConnector: "ec-example" });
  const e = await bench.server("E", { body: {} });
  const image = { type: "image_url", image_url: { url: "http://a/1" } };
  const body = { ...chat, messages: [{ role: "user", content: [image] }] };
  await bench.post(body, { ...pf, "x-encoder-hosts-ports": e.hostPort });
  expect(bench.order).toEqual(["E", "P", "D"]);
  expect(p.last.json).toMatchObject({ cache_hit_threshold: 0 });
});

test.each([{}, { "x-request-id": "mine" }])("encode, prefill and decode get one id (client: %o)", async (own) => {
  for (const kvConnector of ["nixlv2", "sglang"] as const) {
    const { bench, p, d, pf } = await pair({ kvConnector, ecConnector: "ec-example" });
    const e = await bench.server("E", { body: {} });
    const image = { type: "image_url", image_url: { url: "http://a/1" } };
    const body = { ...chat, messages: [{ role: "user", content: [image] }] };
    for (const headers of [{ ...own, ...pf }, own]) {
      await bench.post(body, { ...headers, "x-encoder-hosts-ports": e.hostPort });
      const id = String(e.last.headers["x-request-id"]).replace(/-enc-0$/, "");
      expect(id).toMatch(own["x-request-id"] === undefined ? /^[0-9a-f-]{36}$/ : /^mine$/);
      expect(d.last.headers["x-request-id"]).toBe(id);
      if (headers !== own) expect(p.last.headers["x-request-id"]).toBe(id);
    }
  }
});

test("no more encoder requests run at a time than allowed", async () => {
  const open: ServerResponse[] = [];
  let most = 0;
  const slow: Answer = (_seen, res) => {
    most = Math.max(most, open.push(res));
    if (open.length !== 3) return;
    // Time for a further one to come, if there is one.
    setTimeout(() => {
      for (const each of open.splice(0)) each.end("{}");
    }, 20);
  };
  const { bench } = await pair({ ecConnector: "ec-example", encodeMaxParallel: 3 });
  const e = await bench.server("E", slow);
  const images = Array.from({ length: 12 }, (_, i) => ({ type: "image_url", image_url: { url: `http://a/${i}` } }));
  const body = { ...chat, messages: [{ role: "user", content: images }] };
  expect((await bench.post(body, { "x-encoder-hosts-ports": e.hostPort })).status).toBe(200);
  expect(e.seen).toHaveLength(12);
  expect(most).toBe(3);
});

test("encoder results that differ for one hash are counted, and the first is used", async () => {
  const { bench, d } = await pair({ ecConnector: "ec-nixl" });
  const e1 = await bench.server("E1", { body: { ec_transfer_params: { h: { peer_port: 1 } } } });
  const e2 = await bench.server("E2", { body: { ec_transfer_params: { h: { peer_port: 2 } } } });
  const audio = { type: "input_audio", input_audio: { data: "AAAA" } };
  const body = { ...chat, messages: [{ role: "user", content: [audio, audio] }] };
  await bench.post(body, { "x-encoder-hosts-ports": `${e1.hostPort},${e2.hostPort}` });
  expect(at(d.last.json, "ec_transfer_params")).toEqual({ h: { peer_port: 1 } });
  expect(await bench.metric("pd_sidecar_encoder_conflicts_total")).toBe(1);
});
