import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Bench, until } from "./support/bench.ts";
import {
  chat,
  completion,
  imageChat,
  prefilled,
  prefilledText,
  rendered,
  renderedImages,
  sixKeys,
} from "./support/bodies.ts";
import { events, hang, type SeenRequest } from "./support/fake-gateway.ts";

const nixl = "  kv_connector: kv-nixl";
const nixlBoth = "  kv_connector: kv-nixl\n  ec_connector: ec-nixl";
const answers = { render: rendered, prefill: prefilled, decode: completion };
const encoded = (hash: string, host = "e") => ({
  body: { ec_transfer_params: { [hash]: { peer_host: host, peer_port: 1, size_bytes: 2 } } },
});
const conditionalSteps = `
    - {type: render, params: {address: RENDER}}
    - {type: conditional-decode}
    - {type: prefill}
    - {type: decode}
`;

async function imageServer(...pages: readonly ((path: string) => [number, Record<string, string>, string])[]) {
  const asked: string[] = [];
  const server = createServer((req, res) => {
    asked.push(req.url ?? "");
    const [status, headers, body] = pages[Math.min(asked.length, pages.length) - 1]!(req.url ?? "");
    res.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { asked, port: (server.address() as AddressInfo).port };
}

test("C1: a chat of text is rendered, prefilled and decoded, in that order", async () => {
  const bench = await Bench.start({ pipeline: nixl, answers });
  const body =
    '{"model":"m", "messages":[{"role":"user","content":"h\\u00e9 <&>"}],"max_tokens":50,"min_tokens":3,"seed":12345678901234567890,"stream":false}';
  const answer = await bench.post(body, { "x-request-id": "abc-1", authorization: "Bearer t" });
  expect([answer.status, JSON.parse(answer.text)]).toEqual([200, completion.body]);
  const { gateway } = bench;
  expect(gateway.order).toEqual(["render", "prefill", "decode"]);
  const [render, prefill, decode] = gateway.seen as [SeenRequest, SeenRequest, SeenRequest];
  expect([render.url, render.text]).toEqual(["/v1/chat/completions/render", body]);
  expect([prefill.url, decode.url]).toEqual(["/v1/chat/completions", "/v1/chat/completions"]);
  expect(prefill.text).toBe(
    '{"model":"m", "messages":[{"role":"user","content":"h\\u00e9 <&>"}],"max_tokens":1,"seed":12345678901234567890,"stream":false' +
      `,"tokens":{"token_ids":[7,8,9]},"kv_transfer_params":${JSON.stringify(sixKeys)}}`,
  );
  const kv = /"kv_transfer_params":(\{.*\})\}$/.exec(prefilledText)![1]!;
  expect(decode.text).toBe(`${body.slice(0, -1)},"tokens":{"token_ids":[7,8,9]},"kv_transfer_params":${kv}}`);
  expect(prefill.headers).toMatchObject({
    "epp-profile": "prefill",
    "x-request-id": "abc-1",
    authorization: "Bearer t",
  });
  expect(decode.headers).toMatchObject({ "epp-profile": "decode", "x-request-id": "abc-1" });
  expect(render.headers).not.toHaveProperty("epp-profile");
});

test("C1: the flags of the prefill server's answer are flipped for decode, and nothing else of it", async () => {
  const turned = '{"kv_transfer_params":{"do_remote_decode":true ,"x":1e2, "do_remote_prefill":false}}';
  const bench = await Bench.start({ pipeline: nixl, answers: { ...answers, prefill: { body: turned } } });
  await bench.post(chat);
  expect(bench.gateway.only("decode").text).toContain(
    '"kv_transfer_params":{"do_remote_decode":false ,"x":1e2, "do_remote_prefill":true}',
  );
});

test("C2: two images are fetched, encoded at the same time, and named to prefill and decode", async () => {
  const page = (path: string): [number, Record<string, string>, string] => [
    200,
    { "content-type": "image/png; x=1" },
    `bytes of ${path}`,
  ];
  const { port, asked } = await imageServer(page);
  const waiting: (() => void)[] = [];
  const bothArrive = (seen: SeenRequest, res: ServerResponse): void => {
    const hash = (seen.json["tokens"] as { features: { mm_hashes: { image: string[] } } }).features.mm_hashes.image[0]!;
    waiting.push(() => res.end(JSON.stringify(encoded(hash).body)));
    // Neither is answered before both are there.
    if (waiting.length === 2) for (const answer of waiting.splice(0).reverse()) answer();
  };
  const bench = await Bench.start({
    pipeline: nixlBoth,
    answers: { ...answers, render: renderedImages, encode: bothArrive },
  });
  const urls = ["a", "b"].map((name) => `http://images.test:${port}/${name}.png`);
  const answer = await bench.post(imageChat(urls));
  expect(answer.status, answer.text).toBe(200);
  expect(asked.sort()).toEqual(["/a.png", "/b.png"]);
  const { gateway } = bench;
  expect(gateway.order).toEqual(["render", "encode", "encode", "prefill", "decode"]);
  const inline = ["a", "b"].map(
    (name) => `data:image/png;base64,${Buffer.from(`bytes of /${name}.png`).toString("base64")}`,
  );
  expect(gateway.only("render").json).toEqual(imageChat(inline));
  const first = gateway.of("encode").find(({ text }) => text.includes('"h1"'))!;
  expect(first.json).toEqual({
    model: "m",
    messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: inline[0] } }] }],
    tokens: {
      token_ids: [1, 5, 5],
      features: { mm_hashes: { image: ["h1"] }, mm_placeholders: { image: [{ offset: 1, length: 2 }] } },
    },
    max_tokens: 1,
    stream: false,
  });
  const features = { ...renderedImages.body.features, kwargs_data: undefined };
  const prefill = gateway.only("prefill").json;
  expect(prefill["ec_transfer_params"]).toEqual({
    ...encoded("h1").body.ec_transfer_params,
    ...encoded("h2").body.ec_transfer_params,
  });
  expect(prefill["tokens"]).toEqual(JSON.parse(JSON.stringify({ token_ids: renderedImages.body.token_ids, features })));
  const decode = gateway.only("decode").json;
  expect(decode).not.toHaveProperty("ec_transfer_params");
  const content = (decode["messages"] as { content: Record<string, unknown>[] }[])[0]!.content;
  expect(content.map(({ uuid }) => uuid)).toEqual([undefined, "h1", "h2"]);
  expect(content[1]!["image_url"]).toEqual({ url: inline[0] });
});

test.each([
  ["a JSON answer", completion, JSON.stringify(completion.body)],
  ["a stream", events("1", "[DONE]"), "data: 1\n\ndata: [DONE]\n\n"],
])("C3: %s of a server that has the prompt cached is the client's answer", async (_what, conditional, text) => {
  const bench = await Bench.start({ steps: conditionalSteps, pipeline: nixl, answers: { ...answers, conditional } });
  const answer = await bench.post(chat);
  expect([answer.status, answer.text]).toEqual([200, text]);
  expect(bench.gateway.order).toEqual(["render", "conditional"]);
  const seen = bench.gateway.only("conditional");
  expect(seen.headers["epp-profile"]).toBe("decode");
  expect(seen.json).toEqual({ ...chat, tokens: { token_ids: [7, 8, 9] } });
  expect(await bench.metric("pd_coordinator_conditional_decodes_total", { result: "hit" })).toBe(1);
});

test("C4: where nobody has the prompt cached, prefill and decode follow, and the client sees only that answer", async () => {
  const conditional = { status: 412, headers: { "x-from": "miss" }, body: "no decode worker" };
  const bench = await Bench.start({ steps: conditionalSteps, pipeline: nixl, answers: { ...answers, conditional } });
  const answer = await bench.post(chat);
  expect([answer.status, JSON.parse(answer.text), answer.headers.get("x-from")]).toEqual([200, completion.body, null]);
  expect(bench.gateway.order).toEqual(["render", "conditional", "prefill", "decode"]);
  expect(bench.gateway.only("decode").headers).not.toHaveProperty("prefer");
  expect(await bench.metric("pd_coordinator_conditional_decodes_total", { result: "miss" })).toBe(1);
  // All four went over connections that are kept.
  expect(bench.gateway.connections).toBeLessThanOrEqual(2);
});

test("C5: an error of the conditional decode is the client's answer, and nothing follows", async () => {
  const conditional = { status: 500, body: "broken" };
  const bench = await Bench.start({ steps: conditionalSteps, answers: { ...answers, conditional } });
  const answer = await bench.post(chat);
  expect([answer.status, answer.text]).toEqual([500, "broken"]);
  expect(bench.gateway.order).toEqual(["render", "conditional"]);
  const labels = { phase: "conditional-decode", reason: "status_5xx" };
  expect(await bench.metric("pd_coordinator_phase_failures_total", labels)).toBe(1);
});

test("C6: a completion of text is rendered, one of token ids is not, a list of texts is refused", async () => {
  const bench = await Bench.start({
    pipeline: nixl,
    answers: { ...answers, render: { body: [{ token_ids: [4, 5] }] } },
  });
  const path = "/v1/completions";
  const text = await bench.post(
    { model: "m", prompt: "hi", max_tokens: 9, stream: true },
    { "x-request-id": "r1" },
    path,
  );
  expect(text.status).toBe(200);
  const { gateway } = bench;
  expect(gateway.order).toEqual(["render", "prefill", "decode"]);
  expect(gateway.seen[0]!.url).toBe("/v1/completions/render");
  expect(gateway.seen[1]!.json).toEqual({
    request_id: "r1",
    model: "m",
    prompt: [4, 5],
    max_tokens: 1,
    stream: false,
    kv_transfer_params: sixKeys,
  });
  expect(gateway.seen[2]!.text).toContain(
    '{"model":"m","prompt":[4,5],"max_tokens":9,"stream":true,"kv_transfer_params":{',
  );
  gateway.seen.length = 0;
  expect((await bench.post({ model: "m", prompt: [1, 2] }, {}, path)).status).toBe(200);
  expect(gateway.order).toEqual(["prefill", "decode"]);
  expect(gateway.seen[0]!.json["prompt"]).toEqual([1, 2]);
  gateway.seen.length = 0;
  for (const prompt of [["a"], [[1]], 7, null]) {
    const refused = await bench.post({ model: "m", prompt }, { "x-request-id": "r2" }, path);
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining("bad request (request_id: r2)")]);
  }
  expect(gateway.order).toEqual([]);
});

test("C7: token ids with features go to prefill as they are, are not encoded, and decode finds the cache in extra_args", async () => {
  const bench = await Bench.start({ pipeline: nixlBoth, answers });
  const body = {
    model: "m",
    token_ids: [1, 5, 5, 2],
    features: {
      mm_hashes: { image: ["h"] },
      mm_placeholders: { image: [{ offset: 1, length: 2 }] },
      kwargs_data: { image: [null] },
    },
    sampling_params: { max_tokens: 40, extra_args: { mine: 1 } },
  };
  const answer = await bench.post(body, { "x-request-id": "g1" }, "/inference/v1/generate");
  expect(answer.status, answer.text).toBe(200);
  const { gateway } = bench;
  expect(gateway.order).toEqual(["prefill", "decode"]);
  expect(gateway.only("prefill").url).toBe("/inference/v1/generate");
  expect(gateway.only("prefill").json).toEqual({
    request_id: "g1",
    model: "m",
    token_ids: body.token_ids,
    features: body.features,
    sampling_params: { max_tokens: 1, extra_args: { kv_transfer_params: sixKeys } },
    stream: false,
  });
  const decode = gateway.only("decode");
  expect(decode.url).toBe("/inference/v1/generate");
  expect(decode.text).toContain('"sampling_params":{"max_tokens":40,"extra_args":{"mine":1,"kv_transfer_params":{');
  expect(decode.json).not.toHaveProperty("kv_transfer_params");
});

const ids = [1, 2, 3];
const image = { mm_hashes: { image: ["h"] }, mm_placeholders: { image: [{ offset: 1, length: 1 }] } };
test.each([
  [
    "a placeholder that begins beyond the end",
    { token_ids: ids, features: { ...image, mm_placeholders: { image: [{ offset: 3, length: 0 }] } } },
  ],
  [
    "a placeholder that ends beyond it",
    { token_ids: ids, features: { ...image, mm_placeholders: { image: [{ offset: 1, length: 3 }] } } },
  ],
  ["no token_ids", {}],
  ["no token", { token_ids: [] }],
  ["a token that is no whole number", { token_ids: [1.5] }],
  ["a negative token", { token_ids: [-1] }],
  ["sampling_params that are no object", { token_ids: ids, sampling_params: 1 }],
  ["extra_args that are no object", { token_ids: ids, sampling_params: { extra_args: [] } }],
  ["features that are no object", { token_ids: ids, features: 1 }],
  ["hashes that are no object", { token_ids: ids, features: { mm_hashes: ["h"] } }],
  ["no placeholders", { token_ids: ids, features: { mm_hashes: { image: ["h"] } } }],
  ["placeholders of another number", { token_ids: ids, features: { ...image, mm_placeholders: { image: [] } } }],
  ["kwargs of another number", { token_ids: ids, features: { ...image, kwargs_data: { image: [] } } }],
  ["kwargs that are no text", { token_ids: ids, features: { ...image, kwargs_data: { image: [1] } } }],
])("C8: %s is a 400 and nothing is called", async (_what, body) => {
  const bench = await Bench.start({ answers });
  const answer = await bench.post({ model: "m", ...body }, {}, "/inference/v1/generate");
  expect(answer.status).toBe(400);
  expect(bench.gateway.order).toEqual([]);
});

test("C9: a prefill that refuses is named to the client, one that fails is a 502", async () => {
  const prefill = [
    { status: 404, body: "secret" },
    { status: 500, body: "secret" },
    { status: 204, body: "" },
  ];
  const bench = await Bench.start({ answers: { ...answers, prefill } });
  const id = { "x-request-id": "r-9" };
  const refused = await bench.post(chat, id);
  expect([refused.status, refused.text]).toEqual([404, "prefill rejected the request: HTTP 404 (request_id: r-9)\n"]);
  const failed = await bench.post(chat, id);
  expect([failed.status, failed.text]).toEqual([502, "internal error (request_id: r-9)\n"]);
  expect((await bench.post(chat)).status).toBe(502);
  expect(bench.gateway.of("decode")).toEqual([]);
  for (const [reason, count] of [
    ["status_4xx", 1],
    ["status_5xx", 1],
    ["status_2xx", 1],
  ] as const) {
    expect(await bench.metric("pd_coordinator_phase_failures_total", { phase: "prefill", reason })).toBe(count);
  }
});

test("C10: of three encode calls one fails, and the others are cancelled", async () => {
  const three = {
    body: {
      token_ids: [1, 5, 5, 5],
      features: {
        mm_hashes: { image: ["a", "b", "c"] },
        mm_placeholders: { image: [1, 2, 3].map((offset) => ({ offset, length: 1 })) },
        kwargs_data: { image: [null, null, null] },
      },
    },
  };
  let arrived = 0;
  let fail: () => void = () => {};
  const encode = (seen: SeenRequest, res: ServerResponse): void => {
    if (seen.text.includes('"b"')) fail = () => void res.writeHead(500).end("broken");
    if (++arrived === 3) fail();
  };
  const bench = await Bench.start({ pipeline: nixlBoth, answers: { ...answers, render: three, encode } });
  const answer = await bench.post(imageChat(["1", "2", "3"].map((n) => `data:image/png;base64,${n}`)));
  expect(answer.status).toBe(502);
  await until("the others are cut", () => bench.gateway.of("encode").filter(({ cut }) => cut).length === 2);
  expect(bench.gateway.order).toEqual(["render", "encode", "encode", "encode"]);
});

test("C11: two encode servers that differ about one image are a 502, and prefill is not called", async () => {
  const same = {
    ...renderedImages.body,
    features: { ...renderedImages.body.features, mm_hashes: { image: ["h", "h"] } },
  };
  const bench = await Bench.start({
    pipeline: nixlBoth,
    answers: { ...answers, render: { body: same }, encode: [encoded("h", "e1"), encoded("h", "e2")] },
  });
  expect((await bench.post(imageChat())).status).toBe(502);
  expect(new Set(bench.gateway.order)).toEqual(new Set(["render", "encode"]));
  expect(await bench.metric("pd_coordinator_phase_failures_total", { phase: "encode", reason: "conflict" })).toBe(1);
});

test("C11: equal results of one image count once, and null stands for none", async () => {
  const same = {
    ...renderedImages.body,
    features: { ...renderedImages.body.features, mm_hashes: { image: ["h", "h"] } },
  };
  const one = '{"ec_transfer_params":{"h":{"a":1,"b":"x"},"n":null}}';
  const other = '{"ec_transfer_params":{"h":{"b":"\\u0078", "a":1}}}';
  const bench = await Bench.start({
    pipeline: nixlBoth,
    answers: { ...answers, render: { body: same }, encode: [{ body: one }, { body: other }] },
  });
  expect((await bench.post(imageChat())).status).toBe(200);
  expect(bench.gateway.only("prefill").json["ec_transfer_params"]).toEqual({ h: { a: 1, b: "x" } });
});

test("C12: a body of 65 MiB is a 413, null a 400, and an id that cannot be passed on is replaced", async () => {
  const bench = await Bench.start({ answers });
  const large = await bench.post(Buffer.alloc(65 * 1024 * 1024, 32));
  expect([large.status, large.text]).toEqual([413, "request body too large\n"]);
  for (const body of ["null", "[]", "{bad", ""]) {
    const refused = await bench.post(body);
    expect([refused.status, refused.text]).toEqual([400, expect.stringMatching(/^invalid JSON body/)]);
  }
  expect(bench.gateway.order).toEqual([]);
  expect((await bench.post(chat, { "x-request-id": "no spaces, please" })).status).toBe(200);
  const sent = bench.gateway.seen.map(({ headers }) => headers["x-request-id"]);
  expect(new Set(sent).size).toBe(1);
  expect(sent[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test.each([
  "http://169.254.169.254/latest/meta-data",
  "http://metadata.test/latest/meta-data",
  "http://[::ffff:169.254.169.254]/x",
  "http://127.0.0.2:1/x",
  "http://inside.test/x",
  "http://2130706434/x",
])("C13: an image at %s is a 400 and nothing is called", async (url) => {
  const bench = await Bench.start({ answers });
  const answer = await bench.post(imageChat([url]));
  expect([answer.status, bench.gateway.order]).toEqual([400, []]);
  const labels = { phase: "replace-media-urls", reason: "address" };
  expect(await bench.metric("pd_coordinator_phase_failures_total", labels)).toBe(1);
});

test("C13: an image that redirects to such an address is a 400 and nothing is called", async () => {
  const bench = await Bench.start({ answers });
  const { port, asked } = await imageServer(() => [302, { location: "http://169.254.169.254/latest" }, ""]);
  const answer = await bench.post(imageChat([`http://images.test:${port}/a`]));
  expect([answer.status, bench.gateway.order, asked]).toEqual([400, [], ["/a"]]);
});

test("a client that leaves ends the phase that runs", async () => {
  for (const phase of ["render", "encode", "prefill", "decode"] as const) {
    const bench = await Bench.start({
      answers: { render: renderedImages, encode: {}, prefill: prefilled, decode: completion, [phase]: hang },
    });
    const request = bench.open(imageChat());
    await until(`${phase} is asked`, () => bench.gateway.of(phase).length > 0);
    request.leave();
    await until(`${phase} is cut`, () => bench.gateway.of(phase).every(({ cut }) => cut));
    await until("nothing is open", () => bench.coordinator.openRequests === 0);
    expect(await bench.metric("pd_coordinator_phase_failures_total")).toBe(0);
  }
});
