import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { selfSignedPair } from "../src/server/serving-certificate.ts";
import { Bench, until } from "./support/bench.ts";
import type { Answer } from "./support/fake-server.ts";
import { chat, completion, pair, prefilled } from "./support/scenario.ts";

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

  test("bytes that are no request are a 400, headers beyond 1 MiB a 431", async () => {
    const { bench } = await pair();
    expect(await raw(bench.sidecar.ports[0]!, "nonsense\r\n\r\n")).toContain("HTTP/1.1 400");
    const large = `GET / HTTP/1.1\r\nhost: h\r\nx: ${"v".repeat(1_100_000)}\r\n\r\n`;
    expect(await raw(bench.sidecar.ports[0]!, large)).toContain("HTTP/1.1 431");
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

  test("an id of the client stays the only one", async () => {
    const { bench, p, d, pf } = await pair();
    await bench.post(chat, { ...pf, "x-request-id": "mine" });
    expect([p.last.headers["x-request-id"], d.last.headers["x-request-id"]]).toEqual(["mine", "mine"]);
  });

  test("connections are used again", async () => {
    const { bench, p, d, pf } = await pair();
    for (let i = 0; i < 10; i++) await bench.post(chat, pf);
    expect([p.connections, d.connections]).toEqual([1, 1]);
  });
});

describe("with TLS", () => {
  test("it serves HTTP/1.1 and HTTP/2 by ALPN with a certificate of its own", async () => {
    const bench = new Bench();
    const p = await bench.server("P", { body: prefilled });
    const d = await bench.server("D", { body: completion });
    const { ports } = await bench.start([d], { secureProxy: true });
    const text = await new Promise<string>((resolve, reject) => {
      const request = httpsRequest(
        { host: "127.0.0.1", port: ports[0], path: "/v1/chat/completions", method: "POST", rejectUnauthorized: false },
        (res) => {
          let body = "";
          res.on("data", (bytes: Buffer) => {
            body += bytes.toString();
          });
          res.on("end", () => resolve(body));
        },
      );
      request.on("error", reject);
      request.end(JSON.stringify(chat));
    });
    expect(text).toContain('"hi"');

    const session = connectHttp2(`https://127.0.0.1:${ports[0]}`, { rejectUnauthorized: false });
    onTestFinished(() => session.destroy());
    const stream = session.request({
      ":method": "POST",
      ":path": "/v1/chat/completions",
      "x-prefiller-host-port": p.hostPort,
    });
    stream.end(JSON.stringify(chat));
    let status = 0;
    let way: unknown;
    stream.on("response", (headers) => {
      status = Number(headers[":status"]);
      way = headers["x-pd-way"];
    });
    let body = "";
    for await (const bytes of stream) body += String(bytes);
    expect([status, way]).toEqual([200, "prefill-decode"]);
    expect(body).toContain('"cached_tokens":7');
    expect(d.last.headers.host).toBe(`127.0.0.1:${ports[0]}`);
    const plain = session.request({ ":path": "/v1/models" });
    plain.resume();
    await new Promise((resolve) => plain.on("end", resolve));
    expect(d.last.url).toBe("/v1/models");
  });

  test("it reaches prefill and decode over TLS, checks their certificates, or does not where told so", async () => {
    const certificate = await selfSignedPair();
    const bench = new Bench();
    const p = await bench.tlsServer("P", certificate, { body: prefilled });
    const d = await bench.tlsServer("D", certificate, { body: completion });
    const skip = { skipVerify: true };
    const pf = { "x-prefiller-host-port": p.hostPort };
    await bench.start([d], { tls: { prefill: skip, decode: skip, encode: undefined } });
    expect((await bench.post(chat, pf)).status).toBe(200);
    expect(bench.order).toEqual(["P", "D"]);
    await bench.start([d], { tls: { prefill: { skipVerify: false }, decode: skip, encode: undefined } });
    const answer = await bench.post(chat, pf);
    expect(answer.status).toBe(502);
    expect(bench.order).toEqual(["P", "D"]);
  });

  test("a certificate that changes is used for the next connection; one that is broken is not", async () => {
    const directory = mkdtempSync(join(tmpdir(), "pd-sidecar-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const write = (name: string, text: string): void => {
      writeFileSync(join(directory, `${name}.new`), text);
      renameSync(join(directory, `${name}.new`), join(directory, name));
    };
    const put = async (): Promise<string> => {
      const { cert, key } = await selfSignedPair();
      write("tls.crt", cert);
      write("tls.key", key);
      return cert;
    };
    const first = await put();
    const bench = new Bench();
    const d = await bench.server("D", { body: completion });
    const { ports } = await bench.start([d], { secureProxy: true, certPath: directory });
    expect(await servedCertificate(ports[0]!)).toBe(body(first));
    write("tls.crt", "broken");
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await servedCertificate(ports[0]!)).toBe(body(first));
    const second = await put();
    await until("the new one is served", async () => (await servedCertificate(ports[0]!)) === body(second));
  });

  test("a folder without a certificate is refused", async () => {
    const bench = new Bench();
    const d = await bench.server("D", { body: completion });
    await expect(bench.start([d], { secureProxy: true, certPath: "/nowhere" })).rejects.toMatchObject({
      code: "PD_SIDECAR_TLS",
    });
  });
});

function servedCertificate(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      const { raw: bytes } = socket.getPeerCertificate();
      socket.destroy();
      resolve(bytes.toString("base64"));
    });
    socket.on("error", reject);
  });
}

function body(pem: string): string {
  return pem.replace(/-----[^-]+-----|\s/g, "");
}
