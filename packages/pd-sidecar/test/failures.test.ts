import { connect as connectSocket, createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { defaultOptions } from "../src/config/default-options.ts";
import type { KvConnectorName } from "../src/config/sidecar-options.ts";
import { Bench, until } from "./support/bench.ts";
import type { Answer } from "./support/fake-server.ts";
import { chat, completion, pair, prefilled } from "./support/scenario.ts";

const hang: Answer = () => {};
const cutBody: Answer = (_seen, res) => {
  res.writeHead(200, { "content-type": "application/json", "content-length": "100" });
  res.write('{"half":', () => res.destroy());
};
const cutStream: Answer = (_seen, res) => {
  res.writeHead(200, { "content-type": "text/event-stream" });
  res.write("data: {}\n\n", () => setTimeout(() => res.destroy(), 20));
};
const refusing: Answer = (_seen, _res, req) => void req.socket.destroy();
const connectors: readonly KvConnectorName[] = ["nixlv2", "shared-storage", "sglang", "offloading"];
/** Those that ask both servers at the same time. */
const parallel: readonly KvConnectorName[] = ["sglang", "offloading"];

describe.each(connectors)("%s", (kvConnector) => {
  test("a prefill that fails is returned, and the decode server waits for nothing", async () => {
    const { bench, d, pf } = await pair({ kvConnector }, [{ status: 500, body: "P failed" }], [hang]);
    const answer = await bench.post(chat, pf);
    expect([answer.status, answer.text]).toEqual([500, "P failed"]);
    if (parallel.includes(kvConnector)) await until("decode was cut", () => d.seen.length === 0 || d.last.cut);
    else expect(d.seen).toHaveLength(0);
    expect(await bench.metric("pd_sidecar_stage_failures_total", { stage: "prefill", reason: "status_5xx" })).toBe(1);
  });

  test("a prefill server that is not there is a 502", async () => {
    const { bench, p, pf } = await pair({ kvConnector }, [], [hang]);
    await p.close();
    const answer = await bench.post(chat, pf);
    expect(answer.status).toBe(502);
    expect(answer.json).toMatchObject({ object: "error", type: "BadGateway" });
  });

  test("a prefill body that ends in its middle is a 502", async () => {
    const { bench, pf } = await pair({ kvConnector }, [cutBody], [hang]);
    expect((await bench.post(chat, pf)).status).toBe(502);
  });

  test("a prefill that takes too long is a 504", async () => {
    const { bench, p, pf } = await pair({ kvConnector, prefillTimeoutMs: 500 }, [hang], [hang]);
    const answer = await bench.post(chat, pf);
    expect([answer.status, answer.json["type"]]).toEqual([504, "GatewayTimeout"]);
    await until("prefill was cut", () => p.last.cut);
  });

  test.each([
    ["fails", { status: 503 } as Answer],
    ["breaks off", cutBody],
    ["closes the connection", refusing],
  ])("with decode-only a prefill that %s lets the decode server do all the work", async (_how, answer) => {
    // The first decode request of a connector that asks both at once waits for the cache.
    const waits: Answer = (seen) =>
      seen.text.includes("kv_transfer_params") || seen.text.includes("bootstrap") ? undefined : { body: completion };
    const { bench, d, pf } = await pair({ kvConnector, prefillFailurePolicy: "decode-only" }, [answer], [waits]);
    const reply = await bench.post({ ...chat, kv_transfer_params: { client: 1 } }, pf);
    expect([reply.status, reply.way]).toEqual([200, "decode-fallback"]);
    expect(d.last.json).toEqual(chat);
    expect(await bench.metric("pd_sidecar_fallbacks_total", { name: "decode-only" })).toBe(1);
    expect(await bench.metric("pd_sidecar_requests_total", { way: "decode-fallback", code: "200" })).toBe(1);
  });

  test("with decode-only a request that prefill refuses is refused", async () => {
    const { bench, pf } = await pair(
      { kvConnector, prefillFailurePolicy: "decode-only" },
      [{ status: 400, body: "too long" }],
      [hang],
    );
    const answer = await bench.post(chat, pf);
    expect([answer.status, answer.text]).toEqual([400, "too long"]);
  });

  test("a client that leaves ends prefill and decode", async () => {
    const { bench, p, d, pf } = await pair({ kvConnector }, [hang], [hang]);
    const request = bench.open(chat, pf);
    await until("prefill was asked", () => p.seen.length === 1);
    if (parallel.includes(kvConnector)) await until("decode was asked", () => d.seen.length === 1);
    request.leave();
    await until("all was cut", () => bench.calls.every((call) => call.cut));
    await until("nothing is open", () => bench.sidecar.openRequests === 0);
  });

  test("a decode server that dies within its stream cuts the client, and the next request is served", async () => {
    const { bench, pf } = await pair({ kvConnector }, [{ body: prefilled }], [cutStream, { body: completion }]);
    const request = bench.open({ ...chat, stream: true }, pf);
    expect(await request.ended).toBe("cut");
    expect(request.text).toContain("data: {}");
    expect((await bench.post(chat, pf)).status).toBe(200);
  });

  test("a stream arrives as it is made", async () => {
    let go: (() => void) | undefined;
    const stepwise: Answer = (_seen, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write('data: {"n":1}\n\n');
      go = () => res.end('data: {"n":2}\n\n');
    };
    const { bench, pf } = await pair({ kvConnector }, [{ body: prefilled }], [stepwise]);
    const request = bench.open({ ...chat, stream: true }, pf);
    await until("the first event is there", () => request.text === 'data: {"n":1}\n\n');
    go!();
    expect(await request.ended).toBe("complete");
    expect(request.text).toBe('data: {"n":1}\n\ndata: {"n":2}\n\n');
  });

  test("a body that is null is a 400", async () => {
    const { bench, pf } = await pair({ kvConnector });
    const answer = await bench.post("null", pf);
    expect([answer.status, answer.json["message"]]).toEqual([400, "invalid JSON: the body is null, not an object"]);
    expect((await bench.post([], pf)).json["message"]).toBe("invalid JSON: the body is an array, not an object");
    expect(bench.order).toEqual([]);
  });

  test("the limits of /v1/responses and generate are capped by their own names", async () => {
    const { bench, p, pf } = await pair({ kvConnector });
    await bench.post({ model: "m", input: "hi", max_output_tokens: 90 }, pf, "/v1/responses");
    await bench.post(
      { token_ids: [1], sampling_params: { max_tokens: 90, min_tokens: 5 } },
      pf,
      "/inference/v1/generate",
    );
    await until("prefill was asked twice", () => p.seen.length === 2);
    // SGLang's prefill servers read neither: they make no tokens beyond the first.
    if (kvConnector === "sglang") return;
    expect(p.seen[0]!.json).toMatchObject({ max_output_tokens: 1 });
    expect(p.seen[1]!.json).toMatchObject({ sampling_params: { max_tokens: 1, min_tokens: 1 } });
  });
});

describe.each(parallel)("%s, both at once", (kvConnector) => {
  test("a prefill that fails after the answer has begun does not end it", async () => {
    let fail: (() => void) | undefined;
    const late: Answer = (_seen, res) => {
      fail = () => res.writeHead(500).end();
    };
    let finish: (() => void) | undefined;
    const begun: Answer = (_seen, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write("data: {}\n\n");
      finish = () => res.end("data: [DONE]\n\n");
    };
    const { bench, pf } = await pair({ kvConnector }, [late], [begun]);
    const request = bench.open({ ...chat, stream: true }, pf);
    await until("it has begun", () => request.text !== "" && fail !== undefined);
    fail!();
    const labels = { connector: kvConnector, reason: "status_5xx" };
    await until(
      "it is counted",
      async () => (await bench.metric("pd_sidecar_kv_transfer_failures_total", labels)) === 1,
    );
    finish!();
    expect(await request.ended).toBe("complete");
    expect(request.text).toContain("[DONE]");
  });

  test("the head of a stream is no answer yet: a prefill that fails then is returned", async () => {
    let fail: (() => void) | undefined;
    const late: Answer = (_seen, res) => {
      fail = () => res.writeHead(500).end("P failed");
    };
    const headOnly: Answer = (_seen, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.flushHeaders();
      // Some time after the head, and not before prefill was asked.
      const timer = setInterval(() => {
        if (fail === undefined) return;
        clearInterval(timer);
        fail();
      }, 50);
    };
    const { bench, pf } = await pair({ kvConnector }, [late], [headOnly]);
    const answer = await bench.post({ ...chat, stream: true }, pf);
    expect([answer.status, answer.text]).toEqual([500, "P failed"]);
  });

  test("a decode server that refuses ends prefill", async () => {
    const { bench, p, pf } = await pair({ kvConnector }, [hang], [{ status: 429, body: "busy" }]);
    const answer = await bench.post(chat, pf);
    expect([answer.status, answer.text]).toEqual([429, "busy"]);
    await until("prefill was cut", () => p.seen.length === 0 || p.last.cut);
  });
});

test("a kept connection that the server closed is replaced without the client noticing", async () => {
  const { bench, p, d, pf } = await pair();
  for (let i = 0; i < 5; i++) {
    expect((await bench.post(chat, pf)).status).toBe(200);
    p.cutConnections();
    d.cutConnections();
  }
});

test("a kept connection that closes on the next request gets it again over a new one", async () => {
  const closesOnSecond: Answer = { body: completion };
  const { bench, d } = await pair({}, [], [closesOnSecond, refusing, { body: completion }]);
  expect((await bench.post(chat)).status).toBe(200);
  expect((await bench.post(chat)).status).toBe(200);
  expect(d.seen).toHaveLength(3);
});

test("a server that sends no HTTP is a 502", async () => {
  const server = createServer((socket) => socket.end("SMTP ready\r\n\r\n"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const bench = new Bench();
  await bench.start([{ port }]);
  const answer = await bench.post(chat);
  expect([answer.status, answer.json["type"]]).toEqual([502, "BadGateway"]);
});

test("SIGTERM's grace lets open requests finish, and cuts those that do not", async () => {
  let finish: (() => void) | undefined;
  const slow: Answer = (_seen, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write("data: 1\n\n");
    finish = () => res.end("data: 2\n\n");
  };
  const { bench } = await pair({}, [], [slow]);
  const request = bench.open({ ...chat, stream: true });
  await until("it runs", () => request.text !== "");
  const stopped = bench.sidecar.stop(10_000);
  await expect(fetch(`${bench.url}/health`)).rejects.toThrow();
  finish!();
  expect(await request.ended).toBe("complete");
  expect(await stopped).toBe(0);

  const other = await pair({}, [], [slow]);
  const held = other.bench.open({ ...chat, stream: true });
  await until("it runs", () => held.text !== "");
  expect(await other.bench.sidecar.stop(50)).toBe(1);
  expect(await held.ended).toBe("cut");
});

test("ranks and a list of allowed targets stop together without harm", async () => {
  const bench = new Bench();
  const d0 = await bench.server("D0", { body: completion });
  const d1 = await bench.server("D1", { body: completion });
  const targets = { pool: undefined, poolRequired: false, hosts: ["127.0.0.1"], file: undefined };
  const sidecar = await bench.start([d0, d1], { targets });
  expect((await bench.post(chat)).status).toBe(200);
  expect(await sidecar.stop(1000)).toBe(0);
  expect(await sidecar.stop(1000)).toBe(0);
});

test.each([
  "127.0.0.1:@127.0.0.9",
  "user@127.0.0.1:80",
  "127.0.0.1:80/path",
  "127.0.0.1:80?x",
  "127.0.0.1:80#x",
  "127.0.0.1 :80",
  "127.1:80",
  "2130706433:80",
  "0x7f000001:80",
  "127.0.0.1",
  "127.0.0.1:0",
  "127.0.0.1:65536",
  "[::1:80",
  "[fe80::1%eth0]:80",
  "http://http://127.0.0.1:80",
])("%s is no target: a 400, and no server is called", async (text) => {
  for (const hosts of [undefined, ["127.0.0.1", "[::1]"]]) {
    const { bench } = await pair({ targets: { pool: undefined, poolRequired: false, hosts, file: undefined } });
    expect((await bench.post(chat, { "x-prefiller-host-port": text })).status).toBe(400);
    expect(bench.order).toEqual([]);
  }
});

test.each([
  ["a client that leaves", "leave"],
  ["an upstream that cuts", "cut"],
])("%s in the middle of every stage leaves the sidecar running", async (_who, how) => {
  for (const kvConnector of [...connectors, "mooncake"] as const) {
    const middle: Answer = how === "cut" ? cutStream : hang;
    const { bench, pf } = await pair({ kvConnector, ecConnector: "ec-nixl", decodeChunkTokens: 5 }, [middle], [middle]);
    const e = await bench.server("E", middle);
    const image = { type: "image_url", image_url: { url: "http://a/1" } };
    const body = { ...chat, stream: true, cache_hit_threshold: 0.5, messages: [{ role: "user", content: [image] }] };
    const requests = [
      bench.open(body, pf),
      bench.open(body, { ...pf, "x-encoder-hosts-ports": e.hostPort }),
      bench.open(body),
    ];
    await until("servers are asked", () => bench.calls.length >= 3 || kvConnector === "mooncake");
    if (how === "leave") for (const request of requests) request.leave();
    await Promise.all(requests.map((request) => request.ended));
    await until("nothing is open", () => bench.sidecar.openRequests === 0);
    expect((await fetch(`${bench.url}/health`)).status).toBe(200);
    expect(await bench.metric("pd_sidecar_internal_errors_total")).toBe(0);
  }
});

test("an answer that is held until prefill has ended does not pile up", async () => {
  let written = 0;
  let finish: (() => void) | undefined;
  const prefill: Answer = (_seen, res) => {
    finish = () => res.end("{}");
  };
  const total = 32 * 1024 * 1024;
  const flood: Answer = (_seen, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    const block = Buffer.alloc(64 * 1024, "x");
    const more = (): void => {
      while (written < total) {
        written += block.length;
        if (!res.write(block)) return void res.once("drain", more);
      }
      res.end();
    };
    more();
  };
  const moriio = { ...defaultOptions.moriio, writeMode: true, parallelDispatch: true, localPodIp: "10.0.0.9" };
  const { bench, pf } = await pair({ moriio }, [prefill], [flood]);
  const request = bench.open({ ...chat, stream: true }, pf);
  await until("decode has begun, and prefill was asked", () => written > 0 && finish !== undefined);
  expect(await settled(() => written)).toBeLessThan(total / 2);
  expect(request.text).toBe("");
  finish!();
  expect(await request.ended).toBe("complete");
  expect(request.text).toHaveLength(total);
});

test("a client that is slow to read slows the decode server down", async () => {
  let written = 0;
  let stalled = false;
  const flood: Answer = (_seen, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    const block = Buffer.alloc(64 * 1024, "x");
    const more = (): void => {
      while (written < 64 * 1024 * 1024) {
        written += block.length;
        if (!res.write(block)) {
          res.once("drain", more);
          stalled = true;
          return;
        }
      }
      res.end();
    };
    more();
  };
  const { bench } = await pair({}, [], [flood]);
  const socket = connectSocket(bench.sidecar.ports[0]!, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  const body = JSON.stringify(chat);
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  socket.pause();
  await until("the server is stalled", () => stalled);
  expect(await settled(() => written)).toBeLessThan(32 * 1024 * 1024);
  let received = 0;
  socket.on("data", (bytes: Buffer) => {
    received += bytes.length;
  });
  socket.resume();
  await until("all has arrived", () => received > 64 * 1024 * 1024);
});

/** A number that grows, once it has stopped to. */
async function settled(value: () => number): Promise<number> {
  for (let last = value(), times = 0; times < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    times = value() === last ? times + 1 : 0;
    last = value();
  }
  return value();
}
