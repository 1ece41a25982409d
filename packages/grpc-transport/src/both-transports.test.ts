import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { Client, type ClientDuplexStream, credentials, Metadata } from "@grpc/grpc-js";
import { generate } from "selfsigned";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { createGrpcJsServer, createHttp2Server, type RpcServerOptions, type RpcTls, rpcStatus } from "./index.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const run of cleanups.splice(0).reverse()) run();
});

let first: RpcTls;
let second: RpcTls;
beforeAll(async () => {
  const make = async (name: string): Promise<RpcTls> => {
    const pems = await generate([{ name: "commonName", value: name }], { keySize: 2048 });
    return { cert: pems.cert, key: pems.private };
  };
  [first, second] = await Promise.all([make("first.test"), make("second.test")]);
});

const identity = (bytes: Buffer): Buffer => bytes;

describe.each([
  ["http2", createHttp2Server],
  ["grpc-js", createGrpcJsServer],
] as const)("%s", (_name, create) => {
  /** A server whose method ends at the message "bye" and is silent otherwise, with the codes that its RPCs were cancelled with. */
  async function serve(extra: Partial<RpcServerOptions> = {}) {
    const codes: number[] = [];
    const server = create({
      host: "127.0.0.1",
      port: 0,
      methods: new Map([
        [
          "/test/Silent",
          (stream) => ({
            message: (bytes) => {
              if (Buffer.from(bytes).toString() === "bye") stream.end();
            },
            halfClose: () => {},
            cancelled: (code) => codes.push(code),
          }),
        ],
      ]),
      maxReceiveBytes: 100,
      ...extra,
    });
    const { port } = await server.start();
    cleanups.push(() => server.stop());
    return { server, port, codes };
  }
  function open(port: number, options: { deadline?: number } = {}): ClientDuplexStream<Buffer, Buffer> {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });
    cleanups.push(() => client.close());
    const call = client.makeBidiStreamRequest("/test/Silent", identity, identity, new Metadata(), options);
    call.on("error", () => {});
    call.resume();
    return call;
  }
  function dial(port: number, options: ConnectionOptions = {}): Promise<TLSSocket | Error> {
    return new Promise((resolve) => {
      const socket = connect({
        host: "127.0.0.1",
        port,
        rejectUnauthorized: false,
        ALPNProtocols: ["h2"],
        ...options,
      });
      cleanups.push(() => socket.destroy());
      socket.once("secureConnect", () => resolve(socket));
      socket.once("error", resolve);
    });
  }
  async function nameOf(port: number): Promise<unknown> {
    const socket = await dial(port);
    return socket instanceof Error ? socket : socket.getPeerCertificate().subject.CN;
  }

  test("open RPCs are counted until they are over, however they end", async () => {
    const { server, port } = await serve();
    const [ends, leaves] = [open(port), open(port)];
    for (const call of [ends, leaves]) call.write(Buffer.from("x"));
    await expect.poll(() => server.openStreams()).toBe(2);
    ends.write(Buffer.from("bye"));
    await expect.poll(() => server.openStreams()).toBe(1);
    leaves.cancel();
    await expect.poll(() => server.openStreams()).toBe(0);
  });

  test("a handler learns the status of an RPC that it did not end", async () => {
    const { server, port, codes } = await serve();
    const leaves = open(port);
    leaves.write(Buffer.from("x"));
    await expect.poll(() => server.openStreams()).toBe(1);
    leaves.cancel();
    await expect.poll(() => codes).toEqual([rpcStatus.cancelled]);
    // Long enough to reach the server on a busy machine.
    open(port, { deadline: Date.now() + 1000 }).write(Buffer.from("x"));
    await expect.poll(() => codes).toEqual([rpcStatus.cancelled, rpcStatus.deadlineExceeded]);
  });

  test("another certificate serves later connections", async () => {
    const { server, port } = await serve({ tls: first });
    expect(await nameOf(port)).toBe("first.test");
    server.reloadTls(second);
    expect(await nameOf(port)).toBe("second.test");
  });

  test("a certificate that is not valid is refused, and the old one stays", async () => {
    const { server, port } = await serve({ tls: first });
    expect(() => server.reloadTls({ cert: second.cert, key: first.key })).toThrow();
    expect(() => server.reloadTls({ cert: "nothing", key: first.key })).toThrow();
    expect(await nameOf(port)).toBe("first.test");
    expect(() => server.reloadTls(first)).not.toThrow();
  });

  test("a plaintext server has no certificate to reload", async () => {
    const { server } = await serve();
    expect(() => server.reloadTls(first)).toThrow("plaintext");
  });

  test("the lowest version and the suites hold, also after a reload", async () => {
    const ciphers = "ECDHE-RSA-AES256-GCM-SHA384";
    const strict = await serve({ tls: { ...first, minVersion: "TLSv1.3" } });
    const narrow = await serve({ tls: { ...first, ciphers } });
    for (let round = 0; round < 2; round++) {
      expect(await dial(strict.port, { maxVersion: "TLSv1.2" })).toBeInstanceOf(Error);
      const old = { maxVersion: "TLSv1.2" } as const;
      expect(await dial(narrow.port, { ...old, ciphers: "ECDHE-RSA-AES128-GCM-SHA256" })).toBeInstanceOf(Error);
      const socket = await dial(narrow.port, old);
      expect(socket instanceof Error ? socket : socket.getCipher().name).toBe(ciphers);
      strict.server.reloadTls({ ...second, minVersion: "TLSv1.3" });
      narrow.server.reloadTls({ ...second, ciphers });
    }
  });
});
