import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { Client, type ClientDuplexStream, credentials, Metadata } from "@grpc/grpc-js";
import { generate } from "selfsigned";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  dataBytes,
  frameBytes,
  grpcMessage,
  headersBytes,
  number32,
  RawHttp2Client,
  requestBlock,
} from "../test/raw-http2-client.ts";
import { errorCode, frameType } from "./http2-protocol.ts";
import {
  createGrpcJsServer,
  createHttp2Server,
  type RpcMethod,
  type RpcServerOptions,
  type RpcTls,
  rpcStatus,
} from "./index.ts";

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
  function open(
    port: number,
    fields: Readonly<Record<string, string>> = {},
    path = "/test/Silent",
  ): ClientDuplexStream<Buffer, Buffer> {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });
    cleanups.push(() => client.close());
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
    const call = client.makeBidiStreamRequest(path, identity, identity, metadata);
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
    // A client that kept the deadline itself could be the first to notice.
    open(port, { "grpc-timeout": "50m" }).write(Buffer.from("x"));
    await expect.poll(() => codes).toEqual([rpcStatus.cancelled, rpcStatus.deadlineExceeded]);
  });

  test("a handler that throws ends its RPC with INTERNAL, hears of it, and the server goes on", async () => {
    const errors: unknown[] = [];
    const ends: number[] = [];
    const throwing: RpcMethod = () => ({
      message: () => {
        throw new Error("a bug in the handler");
      },
      halfClose: () => {},
      cancelled: (code) => {
        ends.push(code);
        throw new Error("and one more");
      },
    });
    const broken: RpcMethod = () => {
      throw new Error("no handler");
    };
    const methods = new Map([
      ["/test/Silent", throwing],
      ["/test/Broken", broken],
    ]);
    const { server, port } = await serve({ methods, onHandlerError: (error) => errors.push(String(error)) });
    const code = async (path: string): Promise<unknown> => {
      const call = open(port, {}, path);
      call.write(Buffer.from("x"));
      const [error] = (await once(call, "error")) as [{ readonly code?: unknown }];
      return error.code;
    };
    expect(await code("/test/Silent")).toBe(rpcStatus.internal);
    expect(ends).toEqual([rpcStatus.internal]);
    expect(errors).toEqual(["Error: a bug in the handler", "Error: and one more"]);
    expect(await code("/test/Broken")).toBe(rpcStatus.internal);
    expect(errors.slice(2)).toEqual(["Error: no handler"]);
    await expect.poll(() => server.openStreams()).toBe(0);
  });

  test("a reset and a lost connection are no half close", async () => {
    const heard: string[] = [];
    const method: RpcMethod = () => ({
      message: () => heard.push("message"),
      halfClose: () => heard.push("half close"),
      cancelled: (code) => heard.push(`cancelled ${code}`),
    });
    const { port } = await serve({ methods: new Map([["/test/Silent", method]]) });
    const client = await RawHttp2Client.open(port);
    const call = (id: number): Buffer =>
      Buffer.concat([headersBytes(id, requestBlock("/test/Silent")), dataBytes(id, grpcMessage(Buffer.from("x")))]);
    client.send(call(1));
    await expect.poll(() => heard).toEqual(["message"]);
    client.send(frameBytes(frameType.rstStream, 0, 1, number32(errorCode.cancel)));
    await expect.poll(() => heard).toEqual(["message", "cancelled 1"]);
    client.send(call(3));
    await expect.poll(() => heard).toHaveLength(3);
    client.close();
    await expect.poll(() => heard.slice(3)).toEqual(["cancelled 1"]);
  });

  test("5,000 resets at once leave the other streams of the connection alone", async () => {
    const { server, port } = await serve();
    const client = await RawHttp2Client.open(port);
    const block = requestBlock("/test/Silent");
    client.send(headersBytes(1, block));
    for (let id = 3; id < 10_003; id += 2) {
      client.send(headersBytes(id, block), frameBytes(frameType.rstStream, 0, id, number32(errorCode.cancel)));
    }
    client.send(dataBytes(1, grpcMessage(Buffer.from("bye"))));
    expect((await client.trailers(1))["grpc-status"]).toBe("0");
    await expect.poll(() => server.openStreams()).toBe(0);
  });

  test("a client that does not take its replies is not read without end, and gets everything when it reads", async () => {
    let received = 0;
    const echo: RpcMethod = (stream) => ({
      message: (bytes) => {
        received += bytes.length;
        stream.send([bytes]);
      },
      halfClose: () => stream.end(),
      cancelled: () => {},
    });
    const { port } = await serve({ methods: new Map([["/test/Silent", echo]]), maxReceiveBytes: 1_000_000 });
    const call = open(port);
    call.pause();
    const messages = 64;
    for (let at = 0; at < messages; at++) call.write(Buffer.alloc(250_000, at));
    call.end();
    let before = -1;
    for (; before !== received; await setTimeout(200)) before = received;
    expect(received).toBeLessThan(8_000_000);
    const replies: number[] = [];
    call.on("data", (bytes: Buffer) => replies.push(bytes[0]!));
    await once(call.resume(), "end");
    expect(replies).toEqual(Array.from({ length: messages }, (_, at) => at));
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
