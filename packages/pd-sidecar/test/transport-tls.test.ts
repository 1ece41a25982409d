import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { readPair, selfSignedPair } from "../src/server/serving-certificate.ts";
import { Bench, until } from "./support/bench.ts";
import type { Answer } from "./support/fake-server.ts";
import { chat, completion, pair, prefilled } from "./support/scenario.ts";

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
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`x-${i}`, "v"]));
    const plain = session.request({ ":method": "DELETE", ":path": "/v1/models", cookie: ["a=1", "b=2"], ...many });
    plain.resume();
    await new Promise((resolve) => plain.on("end", resolve));
    expect(d.last.url).toBe("/v1/models");
    expect(d.last.rawHeaders.filter((_, i, all) => all[i - 1] === "cookie")).toEqual(["a=1; b=2"]);
    expect(d.last.headers).toMatchObject({ "x-299": "v" });
    expect(d.last.headers).not.toHaveProperty("transfer-encoding");
  });

  test("a decode server that dies within its answer ends an HTTP/1.1 connection", async () => {
    const dies: Answer = (_seen, res) => {
      res.writeHead(200, { "content-length": "100" });
      res.write("abc", () => setTimeout(() => res.destroy(), 20));
    };
    const { bench } = await pair({ secureProxy: true }, [], [dies]);
    const socket = connectTls({ host: "127.0.0.1", port: bench.sidecar.ports[0], rejectUnauthorized: false });
    let answer = "";
    socket.on("data", (bytes: Buffer) => {
      answer += bytes.toString();
    });
    socket.on("error", () => {});
    socket.write("GET /x HTTP/1.1\r\nhost: h\r\n\r\n");
    await new Promise((resolve) => socket.on("close", resolve));
    expect(answer).toMatch(/\r\n\r\nabc$/);
    expect(await bench.metric("pd_sidecar_internal_errors_total")).toBe(0);
    await until("it is over", () => bench.sidecar.openRequests === 0);
  });

  test("a decode server that dies within its answer ends an HTTP/2 stream with an error", async () => {
    const dies: Answer = (_seen, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write("data: {}\n\n", () => setTimeout(() => res.destroy(), 20));
    };
    const { bench } = await pair({ secureProxy: true }, [], [dies]);
    const session = connectHttp2(bench.url, { rejectUnauthorized: false });
    onTestFinished(() => session.destroy());
    const stream = session.request({ ":path": "/x" });
    stream.resume();
    await expect(new Promise((resolve, reject) => stream.on("end", resolve).on("error", reject))).rejects.toThrow(
      "NGHTTP2_INTERNAL_ERROR",
    );
    await until("it is over", () => bench.sidecar.openRequests === 0);
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

  test("a key of another type than the certificate's is refused", async () => {
    const directory = mkdtempSync(join(tmpdir(), "pd-sidecar-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const { cert } = await selfSignedPair();
    writeFileSync(join(directory, "tls.crt"), cert);
    writeFileSync(join(directory, "tls.key"), rsaKey());
    expect(() => readPair(directory)).toThrow("tls.key is not the key of the certificate");
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

function rsaKey(): string {
  return generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  }).privateKey;
}

function body(pem: string): string {
  return pem.replace(/-----[^-]+-----|\s/g, "");
}
