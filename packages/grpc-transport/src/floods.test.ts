import { afterEach, expect, test } from "vitest";
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
import { encodeHeaderBlock } from "./hpack-encoder.ts";
import { errorCode, frameFlag, frameType, settingId } from "./http2-protocol.ts";
import type { Http2Limits, Http2Violation } from "./index.ts";

const servers: TestServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.end();
});
async function serve(limits: Partial<Http2Limits> = {}): Promise<TestServer> {
  const server = await TestServer.start({ limits });
  servers.push(server);
  return server;
}

const message = grpcMessage(Buffer.from("hi"));
const reset = (streamId: number): Buffer => frameBytes(frameType.rstStream, 0, streamId, number32(errorCode.cancel));
const block = requestBlock(silentPath);
const echoBlock = requestBlock(echoPath);

test("5,000 resets at once leave the other streams alone", async () => {
  const server = await serve();
  const client = await server.client();
  client.send(headersBytes(1, echoBlock), dataBytes(1, message));
  const burst: Buffer[] = [];
  for (let id = 3; id < 10_003; id += 2) burst.push(headersBytes(id, block), dataBytes(id, message));
  for (let id = 3; id < 10_003; id += 2) burst.push(reset(id));
  client.send(...burst);
  client.send(dataBytes(1, message, true));
  expect((await client.trailers(1))["grpc-status"]).toBe("0");
  expect(client.data(1).length).toBe(message.length * 2);
  expect(server.service).toMatchObject({ open: 0, cancelled: 5000 });
  expect(server.server.load()).toMatchObject({ streams: 0, connections: 1 });
  expect(server.violations).toEqual([]);
});

test("resets without end and without progress end the connection", async () => {
  const server = await serve({ resetBurst: 1000, resetsPerSecond: 0 });
  const client = await server.client();
  const burst: Buffer[] = [];
  for (let id = 1; id < 3000; id += 2) burst.push(headersBytes(id, block), reset(id));
  client.send(...burst);
  expect(await client.goawayCode()).toBe(errorCode.enhanceYourCalm);
  expect(server.violations).toEqual(["reset-flood"]);
  expect(server.service.cancelled).toBe(1001);
  expect(server.service.open).toBe(0);
});

test("finished RPCs make up for resets, and resets of answered RPCs cost nothing", async () => {
  const server = await serve({ resetBurst: 100, resetsPerSecond: 0 });
  const client = await server.client();
  let id = 1;
  for (let round = 0; round < 5; round++) {
    const burst: Buffer[] = [];
    for (let count = 0; count < 99; count++, id += 2) burst.push(headersBytes(id, block), reset(id));
    burst.push(headersBytes(id, echoBlock), dataBytes(id, message, true));
    client.send(...burst);
    expect((await client.trailers(id))["grpc-status"]).toBe("0");
    id += 2;
  }
  for (let count = 0; count < 500; count++, id += 2) {
    client.send(headersBytes(id, echoBlock), dataBytes(id, message), reset(id));
  }
  await client.settle();
  expect(server.violations).toEqual([]);
});

test("errors that make the server reset streams count as resets", async () => {
  const server = await serve({ resetBurst: 100, resetsPerSecond: 0 });
  const client = await server.client();
  const burst: Buffer[] = [];
  for (let id = 1; id < 400; id += 2) burst.push(headersBytes(id, block), frameBytes(8, 0, id, number32(0)));
  client.send(...burst);
  expect(await client.goawayCode()).toBe(errorCode.enhanceYourCalm);
  expect(server.violations.at(-1)).toBe("reset-flood");
});

test("streams that a drain refuses count as resets", async () => {
  const server = await serve({ resetBurst: 50, resetsPerSecond: 0 });
  const client = await server.client();
  client.send(headersBytes(1, block));
  await client.settle();
  void server.server.drain(10_000);
  const isQuestion = (frame: RawFrame): boolean => frame.type === frameType.ping && frame.flags === 0;
  const question = (await client.until("PING", (all) => all.some(isQuestion))).find(isQuestion)!;
  client.send(frameBytes(frameType.ping, frameFlag.ack, 0, question.payload));
  for (let id = 3; id < 203; id += 2) client.send(headersBytes(id, block));
  await client.closed();
  expect(server.violations).toEqual(["reset-flood"]);
});

test.each<[string, Partial<Http2Limits>, Buffer, Http2Violation]>([
  ["SETTINGS", { settingsBurst: 50, settingsPerSecond: 0 }, settingsBytes({ 4: 1000 }), "settings-flood"],
  ["PING", { pingBurst: 50, pingsPerSecond: 0 }, frameBytes(6, 0, 0, Buffer.alloc(8)), "ping-flood"],
  ["empty DATA", { idleFrameBurst: 50, idleFramesPerSecond: 0 }, dataBytes(1, Buffer.alloc(0)), "idle-frame-flood"],
  [
    "DATA of padding",
    { idleFrameBurst: 50, idleFramesPerSecond: 0 },
    frameBytes(frameType.data, frameFlag.padded, 1, Buffer.from([2, 0, 0])),
    "idle-frame-flood",
  ],
  [
    "PRIORITY",
    { idleFrameBurst: 50, idleFramesPerSecond: 0 },
    frameBytes(2, 0, 9, Buffer.alloc(5)),
    "idle-frame-flood",
  ],
  ["unknown frames", { idleFrameBurst: 50, idleFramesPerSecond: 0 }, frameBytes(99, 0, 0), "idle-frame-flood"],
])("too many %s end the connection", async (_what, limits, bytes, violation) => {
  const server = await serve(limits);
  const client = await server.client();
  client.send(headersBytes(1, block), ...Array.from({ length: 100 }, () => bytes));
  expect(await client.goawayCode()).toBe(errorCode.enhanceYourCalm);
  expect(server.violations).toEqual([violation]);
  expect(client.frames.length).toBeLessThan(60);
});

test("messages that cross the end of their RPC leave the others alone, however many they are", async () => {
  const server = await serve({ idleFrameBurst: 50, idleFramesPerSecond: 0 });
  const client = await server.client();
  client.send(headersBytes(1, echoBlock), headersBytes(3, requestBlock(sizePath)));
  client.send(
    ...Array.from({ length: 1000 }, () => dataBytes(3, grpcMessage(Buffer.from("x")))),
    dataBytes(3, Buffer.alloc(0), true),
  );
  expect((await client.trailers(3))["grpc-status"]).toBe("3");
  client.send(dataBytes(1, message, true));
  expect((await client.trailers(1))["grpc-status"]).toBe("0");
  expect(server.violations).toEqual([]);
});

test("empty frames of a stream that was reset count, also those that end it", async () => {
  const server = await serve({ idleFrameBurst: 50, idleFramesPerSecond: 0 });
  const client = await server.client();
  client.send(headersBytes(1, block), frameBytes(8, 0, 1, number32(0)));
  client.send(...Array.from({ length: 100 }, () => dataBytes(1, Buffer.alloc(0), true)));
  expect(await client.goawayCode()).toBe(errorCode.enhanceYourCalm);
  expect(server.violations.at(-1)).toBe("idle-frame-flood");
});

test("a header block without end is cut off by count and by size", async () => {
  const server = await serve();
  const byCount = await server.client();
  const empty = Array.from({ length: 100 }, () => frameBytes(frameType.continuation, 0, 1));
  byCount.send(frameBytes(frameType.headers, 0, 1, block), ...empty);
  expect(await byCount.goawayCode()).toBe(errorCode.enhanceYourCalm);
  const bySize = await server.client();
  const large = Array.from({ length: 10 }, () => frameBytes(frameType.continuation, 0, 1, Buffer.alloc(16_000)));
  bySize.send(frameBytes(frameType.headers, 0, 1, block), ...large);
  expect(await bySize.goawayCode()).toBe(errorCode.enhanceYourCalm);
  expect(server.violations).toEqual(["continuation-flood", "continuation-flood"]);
});

test("a header list over the limit is RESOURCE_EXHAUSTED, and the connection goes on", async () => {
  const server = await serve();
  const client = await server.client();
  const large = encodeHeaderBlock(Array.from({ length: 40 }, (_, at) => [`x-${at}`, "v".repeat(1000)] as const));
  const whole = Buffer.concat([block, large]);
  client.send(
    frameBytes(frameType.headers, 0, 1, whole.subarray(0, 16_000)),
    frameBytes(frameType.continuation, 0, 1, whole.subarray(16_000, 32_000)),
    frameBytes(frameType.continuation, frameFlag.endHeaders, 1, whole.subarray(32_000)),
  );
  expect((await client.trailers(1))["grpc-status"]).toBe("8");
  client.send(headersBytes(3, echoBlock), dataBytes(3, message, true));
  expect((await client.trailers(3))["grpc-status"]).toBe("0");
  expect(server.violations).toEqual(["header-list-size"]);
});

test("an HPACK bomb ends the connection", async () => {
  const server = await serve();
  const client = await server.client();
  const entry = Buffer.concat([Buffer.from([0x40, 1, 0x61, 0x7f, 0xa1, 0x1e]), Buffer.alloc(4000, "b")]);
  client.send(headersBytes(1, Buffer.concat([block, entry, Buffer.alloc(12_000, 0xbe)])));
  expect(await client.goawayCode()).toBe(errorCode.compressionError);
  expect(server.violations).toEqual(["header-compression"]);
});

test("streams over the limit are refused, and the others go on", async () => {
  const server = await serve({ maxConcurrentStreams: 2 });
  const client = await server.client();
  const settings = await client.frame(frameType.settings);
  expect(settings.payload.readUInt16BE(0)).toBe(settingId.maxConcurrentStreams);
  expect(settings.payload.readUInt32BE(2)).toBe(2);
  client.send(headersBytes(1, echoBlock), headersBytes(3, echoBlock), headersBytes(5, echoBlock));
  expect(await client.resetCode(5)).toBe(errorCode.refusedStream);
  client.send(dataBytes(5, message), dataBytes(1, message, true), dataBytes(3, message, true));
  expect((await client.trailers(1))["grpc-status"]).toBe("0");
  expect((await client.trailers(3))["grpc-status"]).toBe("0");
  expect(server.violations).toEqual(["too-many-streams"]);
});

test("connections over the limit are closed", async () => {
  const server = await serve({ maxConnections: 1 });
  const first = await server.client();
  await first.settle();
  const second = await server.client();
  await second.closed();
  expect(server.violations).toEqual(["too-many-connections"]);
  await first.settle("again");
});

test("2,000 open streams are answered, each with its own bytes", async () => {
  const server = await serve();
  const client = await server.client();
  const opening: Buffer[] = [];
  for (let at = 0; at < 2000; at++) {
    opening.push(headersBytes(at * 2 + 1, echoBlock), dataBytes(at * 2 + 1, grpcMessage(Buffer.from(`s${at}`))));
  }
  client.send(...opening);
  await client.settle();
  expect(server.server.load().streams).toBe(2000);
  const closing: Buffer[] = [];
  for (let at = 0; at < 2000; at++) closing.push(dataBytes(at * 2 + 1, grpcMessage(Buffer.from(`e${at}`)), true));
  client.send(...closing);
  await client.trailers(3999);
  const byStream = new Map<number, string>();
  for (const { type, streamId, payload } of client.frames) {
    if (type === frameType.data) byStream.set(streamId, (byStream.get(streamId) ?? "") + payload.toString("latin1"));
  }
  for (let at = 0; at < 2000; at++) {
    const expected = Buffer.concat([grpcMessage(Buffer.from(`s${at}`)), grpcMessage(Buffer.from(`e${at}`))]);
    expect(byStream.get(at * 2 + 1)).toBe(expected.toString("latin1"));
  }
  expect(server.server.load()).toMatchObject({ streams: 0, unsentBytes: 0, deadlines: 0 });
});
