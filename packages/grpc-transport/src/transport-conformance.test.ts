import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate, setTimeout } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { Client, type ClientDuplexStream, credentials, Metadata, type StatusObject } from "@grpc/grpc-js";
import { generate } from "selfsigned";
import { afterEach, describe, expect, test } from "vitest";
import { dataBytes, grpcMessage, headersBytes, RawHttp2Client, requestBlock } from "../test/raw-http2-client.ts";
import { echoPath, silentPath, sizePath, statusPath, TestService } from "../test/test-service.ts";
import { frameType } from "./http2-protocol.ts";
import {
  createGrpcJsServer,
  createHttp2Server,
  type RpcServer,
  type RpcServerFactory,
  type RpcServerOptions,
  rpcStatus,
} from "./index.ts";

const transports: readonly (readonly [string, RpcServerFactory])[] = [
  ["http2", createHttp2Server],
  ["grpc-js", createGrpcJsServer],
];
const maxReceiveBytes = 300_000;

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const run of cleanups.splice(0).reverse()) run();
});

/** One call of a client: what it received, and how it ended. */
class Call {
  readonly messages: Buffer[] = [];
  readonly stream: ClientDuplexStream<Buffer, Buffer>;
  status: StatusObject | undefined;
  #waiting: (() => void)[] = [];

  constructor(client: Client, path: string) {
    const identity = (bytes: Buffer): Buffer => bytes;
    this.stream = client.makeBidiStreamRequest(path, identity, identity, new Metadata());
    this.stream.on("data", (bytes: Buffer) => {
      this.messages.push(bytes);
      this.#wake();
    });
    this.stream.on("status", (status: StatusObject) => {
      this.status = status;
      this.#wake();
    });
    this.stream.on("error", () => {});
  }

  send(text: string | Buffer): this {
    this.stream.write(Buffer.from(text));
    return this;
  }

  async received(count: number): Promise<string[]> {
    while (this.messages.length < count) {
      if (this.status !== undefined) throw new Error(`ended before: ${JSON.stringify(this.status)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.messages.map((message) => message.toString());
  }

  async ended(): Promise<StatusObject> {
    while (this.status === undefined) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.status;
  }

  #wake(): void {
    for (const run of this.#waiting.splice(0)) run();
  }
}

describe.each(transports)("%s", (_name, create) => {
  async function serve(extra: Partial<RpcServerOptions> = {}) {
    const service = new TestService();
    const server: RpcServer = create({
      host: "127.0.0.1",
      port: 0,
      methods: service.methods,
      maxReceiveBytes,
      ...extra,
    });
    const { port } = await server.start();
    cleanups.push(() => server.stop());
    return { service, server, port };
  }
  function clientOf(port: number, channelCredentials = credentials.createInsecure(), options = {}): Client {
    const client = new Client(`127.0.0.1:${port}`, channelCredentials, {
      "grpc.max_receive_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
      ...options,
    });
    cleanups.push(() => client.close());
    return client;
  }

  test("messages come back in order, then the end with OK", async () => {
    const { service, port } = await serve();
    const call = new Call(clientOf(port), echoPath);
    const texts = ["one", "", "three", "x".repeat(100_000), "five"];
    for (const text of texts) call.send(text);
    expect(await call.received(5)).toEqual(texts);
    call.stream.end();
    expect((await call.ended()).code).toBe(rpcStatus.ok);
    expect(service).toMatchObject({ open: 0, halfClosed: 1, cancelled: 0, messages: 5 });
  });

  test("a Unix socket serves as a port does, and is removed with the server", async () => {
    const directory = mkdtempSync(join(tmpdir(), "rpc-"));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    const socketPath = join(directory, "rpc.sock");
    const { server, port } = await serve({ socketPath });
    expect(port).toBe(0);
    const client = new Client(`unix:${socketPath}`, credentials.createInsecure());
    cleanups.push(() => client.close());
    const call = new Call(client, echoPath).send("x".repeat(100_000));
    expect(await call.received(1)).toEqual(["x".repeat(100_000)]);
    expect(server.openStreams()).toBe(1);
    call.stream.end();
    expect((await call.ended()).code).toBe(rpcStatus.ok);
    client.close();
    await server.drain(5000);
    expect(existsSync(socketPath)).toBe(false);
  });

  test("a path at which something is already rejects", async () => {
    const directory = mkdtempSync(join(tmpdir(), "rpc-"));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    const socketPath = join(directory, "rpc.sock");
    writeFileSync(socketPath, "");
    await expect(serve({ socketPath })).rejects.toThrow(/EADDRINUSE|No address added|already in use/);
  });

  test("a half close without messages ends with OK", async () => {
    const { port } = await serve();
    const call = new Call(clientOf(port), echoPath);
    call.stream.end();
    expect((await call.ended()).code).toBe(rpcStatus.ok);
    expect(call.messages).toEqual([]);
  });

  test("a cancel by the client reaches the handler once, and other streams go on", async () => {
    const { service, port } = await serve();
    const client = clientOf(port);
    const other = new Call(client, echoPath).send("a");
    const call = new Call(client, silentPath).send("b");
    await other.received(1);
    await service.until(() => service.messages === 2);
    call.stream.cancel();
    await service.until(() => service.cancelled === 1);
    other.send("c").stream.end();
    expect(await other.received(2)).toEqual(["a", "c"]);
    expect((await other.ended()).code).toBe(rpcStatus.ok);
    expect(service).toMatchObject({ open: 0, cancelled: 1 });
  });

  test("a lost connection cancels its RPCs", async () => {
    const { service, port } = await serve();
    const raw = await RawHttp2Client.open(port);
    raw.send(headersBytes(1, requestBlock(silentPath)), dataBytes(1, grpcMessage(Buffer.from("x"))));
    await service.until(() => service.messages === 1);
    raw.close();
    await service.until(() => service.cancelled === 1);
    expect(service.open).toBe(0);
  });

  test.each([
    [rpcStatus.invalidArgument, "plain text"],
    [rpcStatus.internal, "100 % – ünïcode\nsecond line 🚂"],
    [rpcStatus.unavailable, ""],
    [16, "a code without a name here"],
  ])("status %i with text %j arrives, before any message and after one", async (code, text) => {
    const { port } = await serve();
    const client = clientOf(port);
    const call = new Call(client, statusPath).send(`${code} ${text}`);
    expect(await call.ended()).toMatchObject({ code, details: text });
  });

  test("an unknown method is UNIMPLEMENTED", async () => {
    const { port } = await serve();
    const call = new Call(clientOf(port), "/test.Service/Nothing").send("x");
    expect((await call.ended()).code).toBe(rpcStatus.unimplemented);
  });

  test("a message over the limit is RESOURCE_EXHAUSTED, and one at the limit passes", async () => {
    const { service, port } = await serve();
    const client = clientOf(port);
    const fits = new Call(client, echoPath).send(Buffer.alloc(maxReceiveBytes));
    expect((await fits.received(1))[0]!.length).toBe(maxReceiveBytes);
    const call = new Call(client, echoPath).send(Buffer.alloc(maxReceiveBytes + 1));
    expect((await call.ended()).code).toBe(rpcStatus.resourceExhausted);
    await service.until(() => service.cancelled === 1);
  });

  test("a reply over the limit is RESOURCE_EXHAUSTED", async () => {
    const { port } = await serve({ maxSendBytes: 1000 });
    const client = clientOf(port);
    const call = new Call(client, sizePath).send("1000").send("1001");
    expect((await call.ended()).code).toBe(rpcStatus.resourceExhausted);
  });

  test("a deadline ends the RPC and tells the handler", async () => {
    const { service, port } = await serve();
    // A client that kept the deadline itself could give up before the server knows of the RPC.
    const raw = await RawHttp2Client.open(port);
    cleanups.push(() => raw.close());
    raw.send(headersBytes(1, requestBlock(silentPath, [["grpc-timeout", "50m"]])));
    expect((await raw.trailers(1))["grpc-status"]).toBe(`${rpcStatus.deadlineExceeded}`);
    await service.until(() => service.cancelled === 1);
    expect(service.open).toBe(0);
  });

  test("gzip messages are decompressed, and checked against the limit decompressed", async () => {
    const { port } = await serve();
    const raw = await RawHttp2Client.open(port);
    cleanups.push(() => raw.close());
    const block = (): Buffer => requestBlock(echoPath, [["grpc-encoding", "gzip"]]);
    const text = "compressible ".repeat(1000);
    raw.send(headersBytes(1, block()), dataBytes(1, grpcMessage(gzipSync(text), 1)));
    await raw.until("echo", () => raw.data(1).length >= text.length + 5);
    expect(raw.data(1).subarray(5).toString()).toBe(text);
    raw.send(headersBytes(3, block()), dataBytes(3, grpcMessage(gzipSync(Buffer.alloc(maxReceiveBytes + 1)), 1)));
    expect((await raw.trailers(3))["grpc-status"]).toBe(`${rpcStatus.resourceExhausted}`);
  });

  test("200 streams at once each get their own messages", async () => {
    const { service, port } = await serve();
    const client = clientOf(port);
    const calls = Array.from({ length: 200 }, (_, at) => new Call(client, echoPath).send(`${at}:1`).send(`${at}:2`));
    for (const [at, call] of calls.entries()) expect(await call.received(2)).toEqual([`${at}:1`, `${at}:2`]);
    for (const call of calls) call.stream.end();
    for (const call of calls) expect((await call.ended()).code).toBe(rpcStatus.ok);
    expect(service.open).toBe(0);
  });

  test("a reply larger than every window arrives whole", async () => {
    const { port } = await serve();
    const call = new Call(clientOf(port), sizePath).send("3000000").send("7");
    await call.received(2);
    expect(call.messages.map((message) => message.length)).toEqual([3_000_000, 7]);
  });

  test("requests cut at every byte are read alike", async () => {
    const { port } = await serve();
    const bytes = Buffer.concat([
      headersBytes(1, requestBlock(echoPath)),
      dataBytes(1, grpcMessage(Buffer.from("first"))),
      dataBytes(1, Buffer.concat([grpcMessage(Buffer.from("")), grpcMessage(Buffer.from("sec")).subarray(0, 6)])),
      dataBytes(1, Buffer.from("ec"), true),
    ]);
    const expected = Buffer.concat(["first", "", "sec"].map((text) => grpcMessage(Buffer.from(text))));
    for (let cut = 1; cut < bytes.length; cut++) {
      const raw = await RawHttp2Client.open(port);
      await raw.frame(frameType.settings);
      raw.send(bytes.subarray(0, cut));
      for (let turn = 0; turn < 3; turn++) await setImmediate();
      raw.send(bytes.subarray(cut));
      expect((await raw.trailers(1))["grpc-status"]).toBe("0");
      expect(raw.data(1).equals(expected)).toBe(true);
      raw.close();
    }
  });

  test.each([10_000, Number.POSITIVE_INFINITY])(
    "a drain of %d ms takes no new RPCs and waits for the open ones",
    async (timeoutMs) => {
      const { server, port } = await serve();
      const client = clientOf(port, credentials.createInsecure(), { "grpc.enable_retries": 0 });
      const call = new Call(client, echoPath).send("a");
      await call.received(1);
      let isDrained = false;
      const drained = server.drain(timeoutMs).then(() => {
        isDrained = true;
      });
      call.send("b");
      expect(await call.received(2)).toEqual(["a", "b"]);
      await setTimeout(200);
      expect(isDrained).toBe(false);
      call.stream.end();
      expect((await call.ended()).code).toBe(rpcStatus.ok);
      await drained;
      const late = new Call(clientOf(port), echoPath).send("c");
      expect((await late.ended()).code).toBe(rpcStatus.unavailable);
    },
  );

  test("a drain ends what is open when its time is over", async () => {
    const { service, server, port } = await serve();
    const call = new Call(clientOf(port), silentPath).send("a");
    await service.until(() => service.messages === 1);
    await server.drain(50);
    expect((await call.ended()).code).not.toBe(rpcStatus.ok);
    await service.until(() => service.cancelled === 1);
  });

  test("a drain that is asked for again ends with the one before", async () => {
    const { service, server, port } = await serve();
    new Call(clientOf(port), silentPath).send("a");
    await service.until(() => service.messages === 1);
    await Promise.all([server.drain(50), server.drain(10_000)]);
    await server.drain(10_000);
    await service.until(() => service.cancelled === 1);
  });

  test("a stop ends everything at once", async () => {
    const { service, server, port } = await serve();
    const call = new Call(clientOf(port), silentPath).send("a");
    await service.until(() => service.messages === 1);
    server.stop();
    expect((await call.ended()).code).not.toBe(rpcStatus.ok);
    await service.until(() => service.cancelled === 1);
  });

  test("the port that is taken is an error of start", async () => {
    const { port } = await serve();
    const second = create({ host: "127.0.0.1", port, methods: new Map(), maxReceiveBytes });
    await expect(second.start()).rejects.toThrow();
    second.stop();
  });

  test("RPCs work over TLS", async () => {
    const pems = await generate([{ name: "commonName", value: "localhost" }], { keySize: 2048 });
    const { port } = await serve({ tls: { cert: pems.cert, key: pems.private } });
    const secure = credentials.createSsl(Buffer.from(pems.cert), null, null, { checkServerIdentity: () => undefined });
    const call = new Call(clientOf(port, secure), echoPath).send("a").send("b".repeat(200_000));
    expect((await call.received(2)).map((text) => text.length)).toEqual([1, 200_000]);
    call.stream.end();
    expect((await call.ended()).code).toBe(rpcStatus.ok);
  });
});
