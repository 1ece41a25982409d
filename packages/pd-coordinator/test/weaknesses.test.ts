import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import type { CoordinatorTracing } from "../src/tracing.ts";
import { Bench, until } from "./support/bench.ts";
import { chat, completion, imageChat, prefilled, rendered, renderedImages, sixKeys } from "./support/bodies.ts";
import { type Answer, hang, send } from "./support/fake-gateway.ts";

// What spec disaggregation, section 12 point 8, lists of the Go coordinator.

const nixl = "  kv_connector: kv-nixl";
const answers = { render: rendered, prefill: prefilled, decode: completion };
const late =
  (ms: number): Answer =>
  (_seen, res) =>
    void setTimeout(() => send(res, completion), ms);

test("gateway.timeout does not end a decode that takes longer, and write_timeout neither", async () => {
  const bench = await Bench.start({
    answers: { ...answers, decode: late(1500) },
    server: "  write_timeout: 1s",
    gateway: "  timeout: 1s",
  });
  expect((await bench.post(chat)).status).toBe(200);
});

test("gateway.timeout ends a prefill, and decode_timeout a decode that does not begin", async () => {
  const slow = await Bench.start({ answers: { ...answers, prefill: hang }, gateway: "  timeout: 500ms" });
  expect((await slow.post(chat)).status).toBe(502);
  await until("prefill is cut", () => slow.gateway.only("prefill").cut);
  const bench = await Bench.start({ answers: { ...answers, decode: hang }, gateway: "  decode_timeout: 50ms" });
  expect((await bench.post(chat)).status).toBe(502);
  const labels = { phase: "decode", reason: "answer-timeout" };
  expect(await bench.metric("pd_coordinator_phase_failures_total", labels)).toBe(1);
  const begun: Answer = (_seen, res) => {
    res.writeHead(200).write("be");
    setTimeout(() => res.end("gun"), 1500);
  };
  const stream = await Bench.start({ answers: { ...answers, decode: begun }, gateway: "  decode_timeout: 1s" });
  expect((await stream.post(chat)).text).toBe("begun");
});

test("with use_openai_format false a chat is decoded with its parameters where a chat has them", async () => {
  const bench = await Bench.start({ pipeline: `${nixl}\n  use_openai_format: false`, answers });
  expect((await bench.post(chat)).status).toBe(200);
  const prefill = bench.gateway.only("prefill");
  expect([prefill.url, prefill.json["token_ids"]]).toEqual(["/inference/v1/generate", [7, 8, 9]]);
  expect(prefill.json["sampling_params"]).toEqual({ max_tokens: 1, extra_args: { kv_transfer_params: sixKeys } });
  const decode = bench.gateway.only("decode");
  expect(decode.url).toBe("/v1/chat/completions");
  expect(decode.json).toMatchObject({ kv_transfer_params: { remote_host: "h" }, tokens: { token_ids: [7, 8, 9] } });
  expect(decode.json).not.toHaveProperty("sampling_params");
});

test("with use_openai_format false images are encoded from what rendering made of them", async () => {
  const bench = await Bench.start({
    pipeline: "  use_openai_format: false",
    answers: { ...answers, render: renderedImages, encode: {} },
  });
  expect((await bench.post(imageChat())).status).toBe(200);
  const [encode] = bench.gateway.of("encode").filter(({ text }) => text.includes('"h2"'));
  expect([encode!.url, encode!.json]).toEqual([
    "/inference/v1/generate",
    {
      model: "m",
      token_ids: [1, 5, 5, 5],
      features: {
        mm_hashes: { image: ["h2"] },
        mm_placeholders: { image: [{ offset: 1, length: 3 }] },
        kwargs_data: { image: ["blob2"] },
      },
      sampling_params: { max_tokens: 1 },
      stream: false,
    },
  ]);
  expect(bench.gateway.only("prefill").json["features"]).toEqual(renderedImages.body.features);
});

test("a client's Prefer and EPP-Profile reach no phase", async () => {
  const bench = await Bench.start({ answers: { ...answers, render: renderedImages, encode: {} } });
  await bench.post(imageChat(), { prefer: "if-available", "epp-profile": "decode", te: "trailers", "x-mine": "1" });
  expect(bench.gateway.order).toEqual(["render", "encode", "encode", "prefill", "decode"]);
  for (const { headers } of bench.gateway.seen) {
    expect(headers).not.toHaveProperty("prefer");
    expect(headers).not.toHaveProperty("te");
    expect(headers["x-mine"]).toBe("1");
  }
  expect(bench.gateway.seen.map(({ headers }) => headers["epp-profile"])).toEqual([
    undefined,
    "encode",
    "encode",
    "prefill",
    "decode",
  ]);
});

test("a proxy of the environment sees no download, so that it cannot reach what must not be", async () => {
  let proxied = 0;
  const proxy = createServer((_req, res) => {
    proxied++;
    res.end("bytes");
  });
  proxy.on("connect", (_req, socket) => {
    proxied++;
    socket.end();
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void proxy.close());
  const { port } = proxy.address() as AddressInfo;
  for (const name of ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NODE_USE_ENV_PROXY"]) {
    vi.stubEnv(name, name.startsWith("NODE") ? "1" : `http://127.0.0.1:${port}`);
  }
  onTestFinished(() => void vi.unstubAllEnvs());
  const bench = await Bench.start({ answers });
  for (const url of ["http://metadata.test/x", "https://metadata.test/x", "http://127.0.0.2:1/x"]) {
    expect((await bench.post(imageChat([url]))).status).toBe(400);
  }
  expect(proxied).toBe(0);
});

test("redirects end: the sixth is a 400", async () => {
  let asked = 0;
  const server = createServer((req, res) => {
    asked++;
    const left = Number(req.url?.slice(1));
    if (left === 0) res.end("image");
    else res.writeHead(307, { location: `/${left - 1}` }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const one = { body: { ...renderedImages.body, features: oneImage } };
  const bench = await Bench.start({ answers: { ...answers, render: one, encode: {} } });
  expect((await bench.post(imageChat([`http://images.test:${port}/5`]))).status).toBe(200);
  asked = 0;
  expect((await bench.post(imageChat([`http://images.test:${port}/100`]))).status).toBe(400);
  expect(asked).toBe(6);
});

const oneImage = {
  mm_hashes: { image: ["h"] },
  mm_placeholders: { image: [{ offset: 1, length: 2 }] },
  kwargs_data: { image: [null] },
};

test("kv-sglang names its room by a number, the same for both phases", async () => {
  const room = /"bootstrap_room":([0-9]{19}),?/;
  const answer: Answer = (seen, res) =>
    send(res, { body: `{"kv_transfer_params":{"bootstrap_host":"p","bootstrap_room":${room.exec(seen.text)![1]}}}` });
  const bench = await Bench.start({ pipeline: "  kv_connector: kv-sglang", answers: { ...answers, prefill: answer } });
  expect((await bench.post(chat)).status).toBe(200);
  const [prefill, decode] = ["prefill", "decode"].map((phase) => bench.gateway.only(phase as "prefill").text);
  expect(prefill).toMatch(
    /"do_remote_decode":true,"do_remote_prefill":false,"bootstrap_port":8998,"bootstrap_room":[0-9]{19}\}/,
  );
  expect(room.exec(decode!)![1]).toBe(room.exec(prefill!)![1]);
  expect(decode).toContain('"bootstrap_host":"p"');
});

const sideBySide = "  kv_connector: kv-sglang\n  sglang_bootstrap_host: p.test";

test("kv-sglang with a bootstrap host asks prefill and decode at the same time", async () => {
  let answerPrefill: () => void = () => {};
  const prefill: Answer = (_seen, res) => {
    answerPrefill = () => send(res, { body: {} });
  };
  // Prefill waits until decode has come for its cache.
  const decode: Answer = (_seen, res) => {
    answerPrefill();
    send(res, completion);
  };
  const bench = await Bench.start({ pipeline: sideBySide, answers: { ...answers, prefill, decode } });
  expect((await bench.post(chat)).status).toBe(200);
  const meeting = (phase: "prefill" | "decode") => {
    const { kv_transfer_params: params } = JSON.parse(
      bench.gateway.only(phase).text.replace(/"bootstrap_room":([0-9]+)/, '"bootstrap_room":"$1"'),
    ) as { kv_transfer_params: Record<string, unknown> };
    return { host: params["bootstrap_host"], port: params["bootstrap_port"], room: params["bootstrap_room"] };
  };
  expect(meeting("prefill")).toMatchObject({ host: "p.test", port: 8998, room: expect.stringMatching(/^[0-9]{19}$/) });
  expect(meeting("decode")).toEqual(meeting("prefill"));
  await until(
    "prefill is timed",
    async () => (await bench.metric("pd_coordinator_phase_duration_seconds_count", { phase: "prefill" })) === 1,
  );
});

test("kv-sglang side by side: a prefill that fails ends the decode that waits for it", async () => {
  let asked = 0;
  let refuse: () => void = () => {};
  const onceBothAreAsked = (): void => {
    if (++asked === 2) refuse();
  };
  const prefill: Answer = (_seen, res) => {
    refuse = () => send(res, { status: 404 });
    onceBothAreAsked();
  };
  const decode: Answer = onceBothAreAsked;
  const bench = await Bench.start({ pipeline: sideBySide, answers: { ...answers, prefill, decode } });
  const answer = await bench.post(chat, { "x-request-id": "s1" });
  expect([answer.status, answer.text]).toEqual([404, "prefill rejected the request: HTTP 404 (request_id: s1)\n"]);
  await until("decode is cut", () => bench.gateway.only("decode").cut);
});

test("kv-sglang side by side: a decode that fails ends the prefill, and a client that leaves both", async () => {
  const failing = await Bench.start({
    pipeline: sideBySide,
    answers: { ...answers, prefill: hang, decode: { status: 503, body: "full" } },
  });
  expect((await failing.post(chat)).text).toBe("full");
  await until("prefill is cut", () => failing.gateway.only("prefill").cut);
  const bench = await Bench.start({ pipeline: sideBySide, answers: { ...answers, prefill: hang, decode: hang } });
  const request = bench.open(chat);
  await until("both are asked", () => bench.gateway.seen.length === 3);
  request.leave();
  await until("both are cut", () => bench.gateway.seen.slice(1).every(({ cut }) => cut));
});

test("requests and their phases are counted and timed", async () => {
  const bench = await Bench.start({ answers });
  await bench.post(chat);
  const path = "/v1/chat/completions";
  expect(await bench.metric("pd_coordinator_requests_total", { path, code: "200" })).toBe(1);
  expect(await bench.metric("pd_coordinator_time_to_first_byte_seconds_count", { path })).toBe(1);
  for (const phase of ["replace-media-urls", "render", "encode", "prefill", "decode"]) {
    expect(await bench.metric("pd_coordinator_phase_duration_seconds_count", { phase })).toBe(1);
  }
  await until("nothing is open", async () => (await bench.metric("pd_coordinator_open_requests")) === 0);
});

test("a request and its calls have spans, each named to its server", async () => {
  const spans: string[] = [];
  const ended: string[] = [];
  const tracing: CoordinatorTracing = {
    begin: ({ method, path, requestId, values }) => {
      spans.push(`${method} ${path} ${requestId} ${values("traceparent")[0]}`);
      return {
        stage: (name) => {
          spans.push(name);
          return {
            headers: new Map([["traceparent", `span-of-${name}`]]),
            end: (attributes, problem) => ended.push(`${name} ${JSON.stringify(attributes)} ${problem}`),
          };
        },
        end: (attributes) => ended.push(`request ${JSON.stringify(attributes)}`),
      };
    },
    shutdown: async () => {},
  };
  const bench = await Bench.start({ answers, dependencies: { tracing } });
  await bench.post(chat, { traceparent: "of-client", "x-request-id": "t1" });
  await until("the request's span has ended", () => ended.length === 4);
  expect(spans).toEqual(["POST /v1/chat/completions t1 of-client", "render", "prefill", "decode"]);
  const ok = '{"http.response.status_code":200}';
  expect(ended).toEqual([
    `render ${ok} undefined`,
    `prefill ${ok} undefined`,
    `decode ${ok} undefined`,
    `request ${ok}`,
  ]);
  expect(bench.gateway.seen.map(({ headers }) => headers["traceparent"])).toEqual([
    "span-of-render",
    "span-of-prefill",
    "span-of-decode",
  ]);
});
