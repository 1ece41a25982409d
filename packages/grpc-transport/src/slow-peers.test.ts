import { Socket } from "node:net";
import { setImmediate, setTimeout } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import {
  dataBytes,
  frameBytes,
  grpcMessage,
  headersBytes,
  number32,
  type RawFrame,
  requestBlock,
  settingsBytes,
} from "../test/raw-http2-client.ts";
import { TestServer } from "../test/serve-http2.ts";
import { echoPath, silentPath, sizePath } from "../test/test-service.ts";
import { clientPreface, errorCode, frameFlag, frameType, maxWindowBytes, settingId } from "./http2-protocol.ts";
import { defaultHttp2Limits, type RpcServerOptions } from "./index.ts";

const originalWrite = Socket.prototype.write;
const servers: TestServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.end();
});
async function serve(options: Partial<RpcServerOptions> = {}): Promise<TestServer> {
  const server = await TestServer.start(options);
  servers.push(server);
  return server;
}
const greeting = (windowBytes: number): Buffer =>
  Buffer.concat([clientPreface, settingsBytes({ [settingId.initialWindowSize]: windowBytes })]);
const windowUpdate = (streamId: number, byteCount: number): Buffer =>
  frameBytes(frameType.windowUpdate, 0, streamId, number32(byteCount));
const ask = (streamId: number, byteCount: number): Buffer =>
  Buffer.concat([
    headersBytes(streamId, requestBlock(sizePath)),
    dataBytes(streamId, grpcMessage(Buffer.from(`${byteCount}`)), true),
  ]);

test("no stream gets more than its window, and goes on when it grows", async () => {
  const server = await serve();
  const client = await server.client({ greeting: greeting(10) });
  client.send(ask(1, 100), ask(3, 4));
  await client.trailers(3);
  await client.settle();
  expect(client.data(1).length).toBe(10);
  client.send(windowUpdate(1, 15));
  await client.settle("again");
  expect(client.data(1).length).toBe(25);
  client.send(settingsBytes({ [settingId.initialWindowSize]: 70 }));
  await client.settle("third");
  expect(client.data(1).length).toBe(85);
  client.send(settingsBytes({ [settingId.initialWindowSize]: 0 }), windowUpdate(1, 60));
  await client.settle("fourth");
  expect(client.data(1).length).toBe(85);
  client.send(windowUpdate(1, 1000));
  expect((await client.trailers(1))["grpc-status"]).toBe("0");
  expect(client.data(1).subarray(5).toString()).toBe("x".repeat(100));
});

test("the connection's window is shared in turns", async () => {
  const server = await serve();
  const client = await server.client({ greeting: greeting(maxWindowBytes) });
  client.send(ask(1, 500_000), ask(3, 500_000), ask(5, 500_000));
  await client.settle();
  expect(client.data(1).length).toBe(65_535);
  expect(client.data(3).length + client.data(5).length).toBe(0);
  client.send(windowUpdate(0, 16_384 * 6));
  await client.settle("again");
  expect([1, 3, 5].map((id) => client.data(id).length)).toEqual([65_535 + 32_768, 32_768, 32_768]);
  client.send(windowUpdate(0, 10_000_000));
  for (const id of [1, 3, 5]) expect((await client.trailers(id))["grpc-status"]).toBe("0");
  for (const id of [1, 3, 5]) expect(client.data(id).length).toBe(500_005);
});

test("a small stream is not kept waiting by one whose window is closed", async () => {
  const server = await serve();
  const client = await server.client({ greeting: greeting(0) });
  client.send(ask(1, 50_000), ask(3, 4), windowUpdate(3, 100));
  expect((await client.trailers(3))["grpc-status"]).toBe("0");
  expect(client.data(1).length).toBe(0);
  expect(server.server.load().unsentBytes).toBe(50_005);
  client.send(frameBytes(frameType.rstStream, 0, 1, number32(errorCode.cancel)));
  await client.settle();
  expect(server.server.load()).toMatchObject({ streams: 0, unsentBytes: 0 });
});

test("receive windows are renewed while messages are read", async () => {
  const server = await serve({ limits: { streamWindowBytes: 100_000, connectionWindowBytes: 200_000 } });
  const client = await server.client();
  client.send(windowUpdate(0, 10_000_000));
  client.send(headersBytes(1, requestBlock(silentPath)));
  const piece = grpcMessage(Buffer.alloc(9995));
  let sent = 0;
  for (let at = 0; at < 100; at++) {
    const granted = (): number =>
      100_000 +
      client.frames
        .filter((frame) => frame.type === frameType.windowUpdate && frame.streamId === 1)
        .reduce((sum, frame) => sum + frame.payload.readUInt32BE(0), 0);
    await client.until("window", () => granted() >= sent + piece.length);
    client.send(dataBytes(1, piece));
    sent += piece.length;
  }
  await server.service.until(() => server.service.messages === 100);
  const updates = client.frames.filter((frame) => frame.type === frameType.windowUpdate);
  expect(updates.length).toBeLessThan(40);
  expect(server.violations).toEqual([]);
});

test("a client that sends more than a stream's window loses the stream", async () => {
  const server = await serve({ limits: { streamWindowBytes: 1000, connectionWindowBytes: 70_000 } });
  const client = await server.client();
  client.send(frameBytes(frameType.settings, frameFlag.ack, 0));
  client.send(headersBytes(1, requestBlock(silentPath)), dataBytes(1, Buffer.alloc(1001)));
  expect(await client.resetCode(1)).toBe(errorCode.flowControlError);
  expect(server.violations).toEqual(["stream-window"]);
});

test("until a client knows the SETTINGS it may send what the protocol allows on a stream", async () => {
  const server = await serve({ limits: { streamWindowBytes: 1000 } });
  const client = await server.client();
  client.send(headersBytes(1, requestBlock(silentPath)), dataBytes(1, Buffer.alloc(16_384)));
  await client.settle();
  expect(server.violations).toEqual([]);
  client.send(frameBytes(frameType.settings, frameFlag.ack, 0));
  client.send(headersBytes(3, requestBlock(silentPath)), dataBytes(3, Buffer.alloc(1001)));
  expect(await client.resetCode(3)).toBe(errorCode.flowControlError);
  expect(server.server.load()).toMatchObject({ streams: 1 });
});

test("a client that sends more than the connection's window loses the connection", async () => {
  const server = await serve({ limits: { connectionWindowBytes: 70_000, maxConnectionOutputBytes: 18_000 } });
  const client = await server.client({ greeting: greeting(0) });
  client.send(headersBytes(1, requestBlock(echoPath)));
  // The echoes stay, and with them the window: five frames of 16,000 bytes are more than it.
  client.send(...Array.from({ length: 5 }, () => dataBytes(1, grpcMessage(Buffer.alloc(15_995)))));
  expect(await client.goawayCode()).toBe(errorCode.flowControlError);
  expect(server.violations).toEqual(["connection-window"]);
});

test("limits and times that are infinite are none", async () => {
  const limits = Object.fromEntries(Object.keys(defaultHttp2Limits).map((name) => [name, Number.POSITIVE_INFINITY]));
  const keepalive = { intervalMs: Number.POSITIVE_INFINITY, timeoutMs: Number.POSITIVE_INFINITY };
  const server = await serve({ limits, keepalive });
  const client = await server.client();
  client.send(headersBytes(1, requestBlock(echoPath)), dataBytes(1, grpcMessage(Buffer.from("x")), true));
  expect((await client.trailers(1))["grpc-status"]).toBe("0");
  const settings = (await client.frame(frameType.settings)).payload;
  expect([2, 8, 14].map((at) => settings.readUInt32BE(at))).toEqual([0xffffffff, maxWindowBytes, 0xffffffff]);
  const update = (await client.frame(frameType.windowUpdate, 0)).payload;
  expect(update.readUInt32BE(0)).toBe(maxWindowBytes - 65_535);
});

test("a stream whose replies nobody takes gets no more window, and its memory stays bounded", async () => {
  const limits = { streamWindowBytes: 100_000, maxStreamOutputBytes: 50_000 };
  const server = await serve({ limits });
  const client = await server.client({ greeting: greeting(0) });
  client.send(headersBytes(1, requestBlock(echoPath)));
  const piece = grpcMessage(Buffer.alloc(9995));
  const granted = (): number =>
    client.frames
      .filter((frame) => frame.type === frameType.windowUpdate && frame.streamId === 1)
      .reduce((sum, frame) => sum + frame.payload.readUInt32BE(0), 0);
  let sent = 0;
  for (let at = 0; at < 40; at++) {
    if (100_000 + granted() < sent + piece.length) break;
    client.send(dataBytes(1, piece));
    sent += piece.length;
    await client.settle();
  }
  expect(sent).toBeLessThanOrEqual(200_000);
  expect(server.server.load().unsentBytes).toBe(sent);
  client.send(windowUpdate(1, sent));
  await client.until("echoes", () => client.data(1).length === Math.min(sent, 65_535));
  client.send(windowUpdate(0, sent));
  await client.until("echoes", () => client.data(1).length === sent);
  await client.settle("last");
  expect(granted()).toBeGreaterThanOrEqual(sent - 50_000);
});

test("output that no peer takes is bounded: the stream that exceeds it is reset", async () => {
  const server = await serve({ limits: { maxUnsentBytes: 400_000 } });
  const client = await server.client({ greeting: greeting(0) });
  for (let id = 1; id <= 9; id += 2) client.send(ask(id, 90_000));
  expect(await client.resetCode(9)).toBe(errorCode.enhanceYourCalm);
  expect(server.violations).toEqual(["output-overflow"]);
  expect(server.server.load()).toMatchObject({ streams: 4, unsentBytes: 360_020 });
});

test("a client that reads gets all of the large replies that are made at once", async () => {
  const server = await serve({ limits: { maxConnectionOutputBytes: 100_000, maxSocketBacklogBytes: 50_000 } });
  const openWindows = Buffer.concat([greeting(maxWindowBytes), windowUpdate(0, maxWindowBytes - 65_535)]);
  const client = await server.client({ greeting: openWindows });
  client.send(ask(1, 3_000_000), ask(3, 3_000_000), ask(5, 3_000_000));
  for (const id of [1, 3, 5]) {
    expect((await client.trailers(id))["grpc-status"]).toBe("0");
    expect(client.data(id).length).toBe(3_000_005);
  }
  expect(server.violations).toEqual([]);
});

test("a peer that asks and does not read stops being read, and gets everything when it reads", async () => {
  const server = await serve({ limits: { maxSocketBacklogBytes: 100_000 } });
  const client = await server.client({ greeting: greeting(maxWindowBytes) });
  client.send(windowUpdate(0, 1_000_000_000));
  await client.settle();
  client.pause();
  const total = 60;
  for (let at = 0; at < total; at++) client.send(ask(at * 2 + 1, 1_000_000));
  for (let turn = 0; turn < 2000; turn++) await setImmediate();
  const { unsentBytes } = server.server.load();
  expect(unsentBytes).toBeGreaterThan(100_000);
  client.resume();
  for (let at = 0; at < total; at++) expect((await client.trailers(at * 2 + 1))["grpc-status"]).toBe("0");
  for (let at = 0; at < total; at++) expect(client.data(at * 2 + 1).length).toBe(1_000_005);
  expect(server.server.load().unsentBytes).toBe(0);
});

test("a peer that floods PINGs and does not read is not read either", async () => {
  const server = await serve({ limits: { maxSocketBacklogBytes: 50_000, pingBurst: 1e9 } });
  const client = await server.client();
  await client.settle();
  client.pause();
  const pings = Buffer.concat(Array.from({ length: 4000 }, () => frameBytes(6, 0, 0, Buffer.alloc(8))));
  let turns = 0;
  while (client.unsentBytes < 1_000_000 && turns++ < 5000) {
    client.send(pings);
    await setImmediate();
  }
  expect(client.unsentBytes).toBeGreaterThanOrEqual(1_000_000);
  expect(server.server.load().unsentBytes).toBeLessThan(50_000 + 2 * 65_536);
});

test("a drain says GOAWAY twice, refuses later streams, and closes after the open ones", async () => {
  const server = await serve();
  const client = await server.client();
  client.send(headersBytes(1, requestBlock(echoPath)));
  await client.settle();
  const drained = server.server.drain(10_000);
  const first = await client.frame(frameType.goaway);
  expect([first.payload.readUInt32BE(0), first.payload.readUInt32BE(4)]).toEqual([maxWindowBytes, 0]);
  // A stream that the client opened before it saw the GOAWAY is served.
  client.send(headersBytes(3, requestBlock(echoPath)), dataBytes(3, grpcMessage(Buffer.from("x")), true));
  expect((await client.trailers(3))["grpc-status"]).toBe("0");
  const ping = await client.frame(frameType.ping, 0);
  const drainPing = client.frames.find((frame) => frame.type === frameType.ping && (frame.flags & 1) === 0) ?? ping;
  client.send(frameBytes(frameType.ping, 1, 0, drainPing.payload));
  await client.until("second GOAWAY", (all) => all.filter((frame) => frame.type === frameType.goaway).length === 2);
  expect(client.frames.findLast((frame) => frame.type === frameType.goaway)!.payload.readUInt32BE(0)).toBe(3);
  client.send(headersBytes(5, requestBlock(echoPath)), dataBytes(5, grpcMessage(Buffer.from("x")), true));
  expect(await client.resetCode(5)).toBe(errorCode.refusedStream);
  client.send(dataBytes(1, grpcMessage(Buffer.from("y")), true));
  expect((await client.trailers(1))["grpc-status"]).toBe("0");
  await client.closed();
  await drained;
});

test("a drain does not cut replies that a slow peer has not taken yet", async () => {
  const server = await serve({ limits: { maxSocketBacklogBytes: 1e9, headerTimeoutMs: 400 } });
  const client = await server.client({ greeting: greeting(maxWindowBytes) });
  client.send(windowUpdate(0, 1_000_000_000));
  await client.settle();
  client.pause();
  const ids = [1, 3, 5];
  client.send(...ids.map((id) => ask(id, 10_000_000)));
  await server.service.until(() => server.service.halfClosed === ids.length);
  expect(server.server.load()).toMatchObject({ streams: 0, connections: 1 });
  expect(server.server.load().unsentBytes).toBeGreaterThan(1_000_000);
  const drained = server.server.drain(60_000);
  await setTimeout(3000);
  client.resume();
  for (const id of ids) expect((await client.trailers(id))["grpc-status"]).toBe("0");
  for (const id of ids) expect(client.data(id).length).toBe(10_000_005);
  await client.closed();
  await drained;
});

test("no GOAWAY names a later stream than the one before", async () => {
  const server = await serve();
  const client = await server.client();
  client.send(headersBytes(1, requestBlock(silentPath)));
  await client.settle();
  void server.server.drain(10_000);
  const isQuestion = (frame: RawFrame): boolean => frame.type === frameType.ping && frame.flags === 0;
  const question = (await client.until("PING", (all) => all.some(isQuestion))).find(isQuestion)!;
  client.send(frameBytes(frameType.ping, frameFlag.ack, 0, question.payload));
  client.send(headersBytes(7, requestBlock(echoPath)));
  expect(await client.resetCode(7)).toBe(errorCode.refusedStream);
  client.send(frameBytes(frameType.ping, 0, 1, Buffer.alloc(8)));
  await client.closed();
  const goaways = client.frames.filter((frame) => frame.type === frameType.goaway);
  expect(goaways.map(({ payload }) => [payload.readUInt32BE(0), payload.readUInt32BE(4)])).toEqual([
    [maxWindowBytes, errorCode.noError],
    [1, errorCode.noError],
    [1, errorCode.protocolError],
  ]);
});

test("what is open when a drain ends gets UNAVAILABLE", async () => {
  const server = await serve();
  const client = await server.client();
  client.send(headersBytes(1, requestBlock(silentPath)));
  await client.settle();
  const drained = server.server.drain(20);
  expect(await client.trailers(1)).toMatchObject({ "grpc-status": "14", "grpc-message": "server is shutting down" });
  await drained;
});

test.each([
  ["nothing", Buffer.alloc(0)],
  ["half of the preface", clientPreface.subarray(0, 10)],
  ["no SETTINGS", clientPreface],
  ["half of a HEADERS frame", Buffer.concat([greeting(0), headersBytes(1, requestBlock(echoPath)).subarray(0, 30)])],
  ["half of a header block", Buffer.concat([greeting(0), frameBytes(frameType.headers, 0, 1, requestBlock(echoPath))])],
])("a client that sends %s is dropped after a time", async (_what, bytes) => {
  const server = await serve({ limits: { headerTimeoutMs: 100 } });
  const client = await server.client({ greeting: bytes });
  expect(await client.goawayCode()).toBe(errorCode.enhanceYourCalm);
  expect(server.violations).toEqual(["header-timeout"]);
});

test("a silent client is asked, and dropped when it does not answer", async () => {
  const server = await serve({ keepalive: { intervalMs: 80, timeoutMs: 1000 } });
  const client = await server.client();
  client.send(headersBytes(1, requestBlock(silentPath)));
  const ping = await client.frame(frameType.ping);
  client.send(frameBytes(frameType.ping, 1, 0, ping.payload));
  await client.until("second PING", (all) => all.filter((frame) => frame.type === frameType.ping).length === 2);
  await client.closed();
  expect(server.violations).toEqual(["keepalive-timeout"]);
  expect(server.service).toMatchObject({ open: 0, cancelled: 1 });
});

test("a client that never reads is dropped after a time", async () => {
  const server = await serve({
    keepalive: { intervalMs: 60_000, timeoutMs: 150 },
    limits: { maxSocketBacklogBytes: 100_000 },
  });
  const client = await server.client({ greeting: greeting(maxWindowBytes) });
  client.send(windowUpdate(0, 1_000_000_000));
  await client.settle();
  client.pause();
  for (let at = 0; at < 60; at++) client.send(ask(at * 2 + 1, 1_000_000));
  await server.until((names) => names.length > 0);
  expect(server.violations).toEqual(["write-stalled"]);
  expect(server.server.load().connections).toBe(0);
});

test("all replies of one read leave in one write", async () => {
  const server = await serve();
  const client = await server.client();
  await client.settle();
  const writes: number[] = [];
  const spy = vi.spyOn(Socket.prototype, "write").mockImplementation(function (this: Socket, ...args: unknown[]) {
    if (this.localPort === server.port) writes.push((args[0] as Buffer).length);
    return Reflect.apply(originalWrite, this, args) as boolean;
  });
  const ids = Array.from({ length: 50 }, (_, at) => at * 2 + 1);
  client.send(
    ...ids.map((id) =>
      Buffer.concat([headersBytes(id, requestBlock(echoPath)), dataBytes(id, grpcMessage(Buffer.from("x")), true)]),
    ),
  );
  for (const id of ids) await client.trailers(id);
  spy.mockRestore();
  expect(writes.length).toBe(1);
});
