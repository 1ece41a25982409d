import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { generate } from "selfsigned";
import { afterEach, beforeAll, expect, test } from "vitest";
import { dataBytes, grpcMessage, headersBytes, RawHttp2Client, requestBlock } from "../test/raw-http2-client.ts";
import { TestServer } from "../test/serve-http2.ts";
import { echoPath } from "../test/test-service.ts";
import type { Http2Limits, RpcTls } from "./index.ts";

let first: RpcTls;
let second: RpcTls;
beforeAll(async () => {
  const make = async (name: string): Promise<RpcTls> => {
    const pems = await generate([{ name: "commonName", value: name }], { keySize: 2048 });
    return { cert: pems.cert, key: pems.private };
  };
  [first, second] = await Promise.all([make("first.test"), make("second.test")]);
});
const servers: TestServer[] = [];
const sockets: TLSSocket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.end();
});
async function serve(tls: RpcTls, limits: Partial<Http2Limits> = {}): Promise<TestServer> {
  const server = await TestServer.start({ tls, limits });
  servers.push(server);
  return server;
}
/** The socket after the handshake, or the error that ended it. */
function dial(server: TestServer, options: ConnectionOptions): Promise<TLSSocket | Error> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false, ...options });
    sockets.push(socket);
    socket.once("secureConnect", () => resolve(socket));
    socket.once("error", resolve);
  });
}
async function secure(server: TestServer, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = await dial(server, { ALPNProtocols: ["h2"], ...options });
  if (socket instanceof Error) throw socket;
  return socket;
}
async function echoes(socket: TLSSocket, server: TestServer): Promise<void> {
  const client = await RawHttp2Client.open(server.port, { socket });
  const body = grpcMessage(Buffer.alloc(200_000, "y"));
  client.send(headersBytes(1, requestBlock(echoPath)));
  for (let at = 0; at < body.length; at += 16_000) client.send(dataBytes(1, body.subarray(at, at + 16_000)));
  await client.until("echo", () => client.data(1).length >= 65_535);
  expect(client.data(1).equals(body.subarray(0, 65_535))).toBe(true);
}

test.each(["TLSv1.2", "TLSv1.3"] as const)("RPCs work over %s with ALPN h2", async (version) => {
  const server = await serve(first);
  const socket = await secure(server, { minVersion: version, maxVersion: version });
  expect([socket.alpnProtocol, socket.getProtocol()]).toEqual(["h2", version]);
  await echoes(socket, server);
});

test("a handshake may have any time", async () => {
  const server = await serve(first, { headerTimeoutMs: Number.POSITIVE_INFINITY });
  await echoes(await secure(server), server);
});

test("a client with other protocols only fails its handshake", async () => {
  const server = await serve(first);
  expect(await dial(server, { ALPNProtocols: ["http/1.1"] })).toBeInstanceOf(Error);
  await server.until((names) => names.length > 0);
  expect(server.violations).toEqual(["tls-error"]);
});

test("a client without ALPN is closed", async () => {
  const server = await serve(first);
  const socket = await dial(server, {});
  if (socket instanceof Error) throw socket;
  await new Promise<void>((resolve) => {
    socket.on("error", () => {});
    socket.once("close", () => resolve());
    socket.resume();
  });
  expect(server.violations).toEqual(["no-alpn"]);
});

test("versions below the minimum are refused", async () => {
  const old = await serve(first);
  expect(await dial(old, { ALPNProtocols: ["h2"], maxVersion: "TLSv1.1", minVersion: "TLSv1" })).toBeInstanceOf(Error);
  const strict = await serve({ ...first, minVersion: "TLSv1.3" });
  expect(await dial(strict, { ALPNProtocols: ["h2"], maxVersion: "TLSv1.2" })).toBeInstanceOf(Error);
  await secure(strict);
});

test("TLS 1.2 suites that HTTP/2 forbids are refused", async () => {
  const server = await serve(first);
  const options = { ALPNProtocols: ["h2"], maxVersion: "TLSv1.2", ciphers: "AES128-GCM-SHA256" } as const;
  expect(await dial(server, options)).toBeInstanceOf(Error);
});

test("bytes that are not TLS are counted and harm nobody", async () => {
  const server = await serve(first);
  const plain = await server.client();
  await plain.closed();
  expect(server.violations).toEqual(["tls-error"]);
  await echoes(await secure(server), server);
});

test("another certificate serves later connections; the open ones go on", async () => {
  const server = await serve(first);
  const before = await secure(server);
  expect(before.getPeerCertificate().subject.CN).toBe("first.test");
  server.server.reloadTls(second);
  const after = await secure(server);
  expect(after.getPeerCertificate().subject.CN).toBe("second.test");
  await echoes(before, server);
});

test("a certificate that is not valid is refused, and the old one stays", async () => {
  const server = await serve(first);
  expect(() => server.server.reloadTls({ cert: "not a certificate", key: first.key })).toThrow();
  expect(() => server.server.reloadTls({ cert: second.cert, key: first.key })).toThrow();
  expect((await secure(server)).getPeerCertificate().subject.CN).toBe("first.test");
});

test("a plaintext server has no certificate to reload", async () => {
  const server = await TestServer.start();
  servers.push(server);
  expect(() => server.server.reloadTls(first)).toThrow("plaintext");
});
