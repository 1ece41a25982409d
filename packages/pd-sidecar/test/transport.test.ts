import { connect as connectSocket } from "node:net";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { until } from "./support/bench.ts";
import type { Answer } from "./support/fake-server.ts";
import { chat, completion, pair } from "./support/scenario.ts";

/** Sends raw bytes and reads until the connection ends or the answer is as expected. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectSocket(port, "127.0.0.1");
    let answer = "";
    socket.on("data", (bytes: Buffer) => {
      answer += bytes.toString("latin1");
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", () => resolve(answer));
    socket.write(text);
  });
}

describe("what passes through", () => {
  test("other paths, methods and trailing slashes go to the decode server with query, host and headers", async () => {
    const { bench, d, pf } = await pair({}, [], [{ status: 404, body: "none", headers: { "x-d": "1" } }]);
    const answer = await bench.post(chat, { ...pf, "x-mine": "a" }, "/v1/chat/completions/?q=1");
    expect([answer.status, answer.text, answer.headers.get("x-d")]).toEqual([404, "none", "1"]);
    expect(d.last.url).toBe("/v1/chat/completions/?q=1");
    expect(d.last.headers).toMatchObject({
      host: new URL(bench.url).host,
      "x-mine": "a",
      "x-forwarded-for": "127.0.0.1",
    });
    expect(d.last.headers).not.toHaveProperty("x-prefiller-host-port");
  });

  test("repeated headers, a large header block and the client's forwarded-for chain arrive", async () => {
    const { bench, d } = await pair();
    const large = "v".repeat(60 * 1024);
    const text =
      `GET /x HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nX-A: 2\r\nX-Large: ${large}\r\nX-Forwarded-For: 1.1.1.1\r\n` +
      "X-Forwarded-For: 2.2.2.2\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n\r\n";
    expect(await raw(bench.sidecar.ports[0]!, text)).toContain("HTTP/1.1 200");
    expect(d.last.rawHeaders.filter((_, i, all) => all[i - 1]?.toLowerCase() === "x-a")).toEqual(["1", "2"]);
    expect(d.last.headers["x-large"]).toBe(large);
    expect(d.last.headers["x-forwarded-for"]).toBe("1.1.1.1, 2.2.2.2, 127.0.0.1");
    expect(d.last.headers).not.toHaveProperty("x-hop");
  });

  test("a gzip reply stays as it is, a redirect is not followed, and HEAD has its length", async () => {
    const zipped = gzipSync("hello");
    const { bench, d } = await pair(
      {},
      [],
      [
        { body: zipped, headers: { "content-encoding": "gzip" } },
        { status: 302, body: "", headers: { location: "http://127.0.0.1:1/" } },
        (_seen, res) => void res.writeHead(200, { "content-length": "5" }).end(),
      ],
    );
    const answer = await raw(
      bench.sidecar.ports[0]!,
      "GET /x HTTP/1.1\r\nhost: h\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n",
    );
    expect(answer).toContain(zipped.toString("latin1"));
    expect(d.last.headers["accept-encoding"]).toBe("gzip");
    expect((await fetch(`${bench.url}/x`, { redirect: "manual" })).status).toBe(302);
    const head = await fetch(`${bench.url}/x`, { method: "HEAD" });
    expect(head.headers.get("content-length")).toBe("5");
  });

  test.each([
    ["with a length", (body: Buffer) => `content-length: ${body.length}\r\n`, false],
    ["in chunks", () => "transfer-encoding: chunked\r\n", true],
  ])("a large upload %s arrives byte for byte", async (_how, field, chunked) => {
    const { bench, d } = await pair();
    const body = Buffer.alloc(3_000_000, "0123456789");
    const socket = connectSocket(bench.sidecar.ports[0]!, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\n${field(body)}\r\n`);
    let answer = "";
    socket.on("data", (bytes: Buffer) => {
      answer += bytes.toString("latin1");
    });
    for (let at = 0; at < body.length; at += 100_000) {
      const part = body.subarray(at, at + 100_000);
      if (chunked) socket.write(`${part.length.toString(16)}\r\n`);
      socket.write(part);
      if (chunked) socket.write("\r\n");
    }
    if (chunked) socket.write("0\r\n\r\n");
    await until("it is answered", () => answer.includes('"hi"'));
    expect(d.last.text).toBe(body.toString());
  });

  test("an answer of an HTTP/1.0 client ends with its connection, and one of 1.1 in chunks", async () => {
    const unsized: Answer = (_seen, res) => {
      res.write("a");
      setImmediate(() => res.end("b"));
    };
    const { bench } = await pair({}, [], [unsized]);
    expect(await raw(bench.sidecar.ports[0]!, "GET /x HTTP/1.0\r\n\r\n")).toMatch(/\r\n\r\nab$/);
    const chunked = await raw(bench.sidecar.ports[0]!, "GET /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    expect(chunked).toMatch(/\r\n\r\n(?:1\r\na\r\n1\r\nb|2\r\nab)\r\n0\r\n\r\n$/);
  });

  test("trailers arrive", async () => {
    const withTrailers: Answer = (_seen, res) => {
      res.writeHead(200, { trailer: "x-t" });
      res.write("a");
      res.addTrailers({ "x-t": "1" });
      res.end();
    };
    const { bench } = await pair({}, [], [withTrailers]);
    const answer = await raw(bench.sidecar.ports[0]!, "GET /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    expect(answer).toMatch(/0\r\nx-t: 1\r\n\r\n$/);
  });

  test("trailers of a request arrive behind a body in chunks, and are not announced elsewhere", async () => {
    const { bench, p, d, pf } = await pair();
    const trailers: unknown[] = [];
    d.answers = [
      (_seen, _res, req) => {
        trailers.push(req.trailers);
        return { body: completion };
      },
    ];
    const upload = (path: string, fields: string, body: string): Promise<string> =>
      raw(
        bench.sidecar.ports[0]!,
        `POST ${path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n` +
          `${fields}\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\nx-sum: 1\r\nhost: b\r\n\r\n`,
      );
    await upload("/x", "", "abc");
    expect([d.last.text, d.last.headers.trailer, trailers]).toEqual(["abc", "x-sum", [{ "x-sum": "1" }]]);
    await upload("/v1/chat/completions", `x-prefiller-host-port: ${pf["x-prefiller-host-port"]}\r\n`, "{}");
    expect(bench.order).toEqual(["D", "P", "D"]);
    expect([p.last.headers.trailer, d.last.headers.trailer]).toEqual([undefined, undefined]);
  });

  test("a coding beneath that in chunks is a 501", async () => {
    const { bench } = await pair();
    const text =
      "POST /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    expect(await raw(bench.sidecar.ports[0]!, text)).toContain("HTTP/1.1 501");
    expect(bench.order).toEqual([]);
  });

  test("bytes that are no request cut an answer that has begun instead of becoming a part of it", async () => {
    const { bench, d } = await pair({}, [], [(_seen, res) => void res.write("abc")]);
    const socket = connectSocket(bench.sidecar.ports[0]!, "127.0.0.1");
    let answer = "";
    socket.on("data", (bytes: Buffer) => {
      answer += bytes.toString();
      if (answer.includes("abc")) socket.write("nonsense\r\n\r\n");
    });
    socket.on("error", () => {});
    socket.write("GET /x HTTP/1.1\r\nhost: h\r\n\r\n");
    await new Promise((resolve) => socket.on("close", resolve));
    expect(answer).toMatch(/\r\nabc\r\n$/);
    await until("decode was cut", () => d.last.cut);
  });

  test("an IPv4 client has its own address on a port that takes both families", async () => {
    const { bench, d } = await pair({ host: "::ffff:127.0.0.1" });
    await bench.post(chat);
    expect(d.last.headers["x-forwarded-for"]).toBe("127.0.0.1");
  });

  test("another protocol is joined through", async () => {
    const { bench, d } = await pair();
    d.onUpgrade((req, socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nupgrade: ${req.headers.upgrade}\r\nconnection: upgrade\r\n\r\n`,
      );
      socket.on("data", (bytes: Buffer) => socket.end(`echo ${bytes.toString()}`));
    });
    const socket = connectSocket(bench.sidecar.ports[0]!, "127.0.0.1");
    let answer = "";
    socket.on("data", (bytes: Buffer) => {
      if (answer === "") socket.write("hello");
      answer += bytes.toString();
    });
    socket.write("GET /ws HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
    await new Promise((resolve) => socket.on("close", resolve));
    expect(answer).toMatch(/^HTTP\/1.1 101 .*echo hello$/s);
  });

  test("a request with a body that offers another protocol goes its way as it is", async () => {
    const { bench, p } = await pair();
    const text = JSON.stringify(chat);
    const head =
      `POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nx-prefiller-host-port: ${p.hostPort}\r\nupgrade: h2c\r\n` +
      `connection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\ncontent-length: ${text.length}\r\n\r\n`;
    const socket = connectSocket(bench.sidecar.ports[0]!, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    let answer = "";
    socket.on("data", (bytes: Buffer) => {
      answer += bytes.toString();
    });
    socket.write(head + text);
    await until("it is answered", () => answer.includes("cached_tokens"));
    expect(bench.order).toEqual(["P", "D"]);
    expect(p.last.headers).not.toHaveProperty("http2-settings");
  });

  test("three thousand headers arrive", async () => {
    const { bench, d } = await pair();
    const many = Array.from({ length: 3000 }, (_, i) => `x-${i}: ${i}\r\n`).join("");
    d.maxHeaders(0);
    const answer = await raw(bench.sidecar.ports[0]!, `GET /x HTTP/1.1\r\n${many}host: h\r\nconnection: close\r\n\r\n`);
    expect(answer).toContain("HTTP/1.1 200");
    expect(d.last.headers["x-2999"]).toBe("2999");
  });

  test("bytes that are no request are a 400, headers beyond 1 MiB a 431", async () => {
    const { bench } = await pair();
    expect(await raw(bench.sidecar.ports[0]!, "nonsense\r\n\r\n")).toContain("HTTP/1.1 400");
    const large = `GET / HTTP/1.1\r\nhost: h\r\nx: ${"v".repeat(1_100_000)}\r\n\r\n`;
    expect(await raw(bench.sidecar.ports[0]!, large)).toContain("HTTP/1.1 431");
  });

  test.each(["0.9", "2.0"])("a request line of HTTP/%s is a 505", async (version) => {
    const { bench } = await pair();
    expect(await raw(bench.sidecar.ports[0]!, `GET /x HTTP/${version}\r\nhost: h\r\n\r\n`)).toContain("HTTP/1.1 505");
    expect(bench.order).toEqual([]);
  });

  test("a body larger than allowed is a 413, when it has to be read", async () => {
    const { bench, pf } = await pair({ maxBodyBytes: 100 });
    const large = { ...chat, pad: "x".repeat(200) };
    expect((await bench.post(large, pf)).status).toBe(413);
    expect(bench.order).toEqual([]);
    expect((await bench.post(large)).status).toBe(200);
  });

  test("members that JavaScript treats specially pass, as do digits beyond 2^53 and escapes", async () => {
    const { bench, p, d, pf } = await pair();
    const text =
      '{"__proto__":{"a":1},"constructor":2,"seed":12345678901234567890,"x":1.10,"s":"\\u00e9\\/","max_tokens":5}';
    await bench.post(text, pf);
    const fields = '"__proto__":{"a":1},"constructor":2,"seed":12345678901234567890,"x":1.10,"s":"\\u00e9\\/"';
    expect(p.last.text).toContain(fields);
    expect(d.last.text).toContain(`${fields},"max_tokens":5`);
  });

  test("ids of blocks in the prefill server's answer reach decode digit by digit", async () => {
    const params = '{"remote_block_ids":[[9007199254740993,1]],"remote_host":"h","x":1.0}';
    const { bench, d, pf } = await pair({}, [{ body: `{"kv_transfer_params":${params}}` }]);
    await bench.post(chat, pf);
    expect(d.last.text).toContain(`"kv_transfer_params":${params}`);
  });

  test("prefill is asked for an answer without encoding, decode as the client wants", async () => {
    const { bench, p, d, pf } = await pair();
    await bench.post(chat, { ...pf, "accept-encoding": "gzip" });
    expect(p.last.headers).not.toHaveProperty("accept-encoding");
    expect(d.last.headers["accept-encoding"]).toBe("gzip");
  });

  test("an event stream that may say that too little is cached is asked for without encoding", async () => {
    const declines = { body: 'data: {"choices":[{"finish_reason":"cache_threshold"}]}\n\n' };
    const { bench, d, pf } = await pair({ kvConnector: "shared-storage" }, undefined, [declines, { body: completion }]);
    await bench.post({ ...chat, cache_hit_threshold: 0.8, stream: true }, { ...pf, "accept-encoding": "gzip" });
    expect(d.seen.map((seen) => seen.headers["accept-encoding"])).toEqual(["identity", "gzip"]);
  });

  test("an id of the client stays the only one", async () => {
    const { bench, p, d, pf } = await pair();
    await bench.post(chat, { ...pf, "x-request-id": "mine" });
    expect([p.last.headers["x-request-id"], d.last.headers["x-request-id"]]).toEqual(["mine", "mine"]);
  });

  test("the way is that of this sidecar, whatever stands behind it", async () => {
    const { bench } = await pair({}, [], [{ body: completion, headers: { "x-pd-way": "decode-cached" } }]);
    expect((await bench.post(chat)).way).toBe("decode");
  });

  test("connections are used again", async () => {
    const { bench, p, d, pf } = await pair();
    for (let i = 0; i < 10; i++) await bench.post(chat, pf);
    expect([p.connections, d.connections]).toEqual([1, 1]);
  });
});
