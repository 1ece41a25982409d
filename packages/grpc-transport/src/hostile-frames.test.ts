import { afterEach, beforeEach, expect, test } from "vitest";
import {
  dataBytes,
  frameBytes,
  grpcMessage,
  headersBytes,
  number32,
  requestBlock,
  settingsBytes,
} from "../test/raw-http2-client.ts";
import { TestServer } from "../test/serve-http2.ts";
import { echoPath, silentPath } from "../test/test-service.ts";
import { encodeHeaderBlock } from "./hpack-encoder.ts";
import { clientPreface, errorCode, frameFlag, frameType, settingId } from "./http2-protocol.ts";
import type { Http2Violation } from "./index.ts";

let server: TestServer;
beforeEach(async () => {
  server = await TestServer.start();
});
afterEach(() => server.end());

const open = headersBytes(1, requestBlock(silentPath));
const ended = headersBytes(1, requestBlock(echoPath), true);
const hi = grpcMessage(Buffer.from("hi"));
const fields = (extra: readonly (readonly [string, string])[], base = requestFields): Buffer =>
  headersBytes(1, encodeHeaderBlock([...base, ...extra]));
const requestFields: readonly (readonly [string, string])[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", echoPath],
  ["content-type", "application/grpc"],
];
const padded = (type: number, pad: number, bodyBytes: number): Buffer =>
  frameBytes(type, frameFlag.padded | 4, 1, Buffer.concat([Buffer.from([pad]), Buffer.alloc(bodyBytes)]));

test.each<[string, Buffer, number, Http2Violation]>([
  ["a frame over 16,384 bytes", dataBytes(1, Buffer.alloc(16_385)), errorCode.frameSizeError, "frame-size"],
  ["SETTINGS of 5 bytes", frameBytes(4, 0, 0, Buffer.alloc(5)), errorCode.frameSizeError, "frame-size"],
  ["a SETTINGS answer with bytes", frameBytes(4, 1, 0, Buffer.alloc(6)), errorCode.frameSizeError, "frame-size"],
  ["SETTINGS on a stream", frameBytes(4, 0, 1), errorCode.protocolError, "frame-protocol"],
  [
    "a window setting above 2^31-1",
    settingsBytes({ [settingId.initialWindowSize]: 0x80000000 }),
    errorCode.flowControlError,
    "settings-value",
  ],
  ["a frame size setting of 100", settingsBytes({ [settingId.maxFrameSize]: 100 }), 1, "settings-value"],
  ["PING of 7 bytes", frameBytes(6, 0, 0, Buffer.alloc(7)), errorCode.frameSizeError, "frame-size"],
  ["PING on a stream", frameBytes(6, 0, 1, Buffer.alloc(8)), errorCode.protocolError, "frame-protocol"],
  ["GOAWAY on a stream", frameBytes(7, 0, 1, Buffer.alloc(8)), errorCode.protocolError, "frame-protocol"],
  ["PUSH_PROMISE", frameBytes(5, 4, 1, Buffer.alloc(8)), errorCode.protocolError, "frame-protocol"],
  ["WINDOW_UPDATE of 3 bytes", frameBytes(8, 0, 0, Buffer.alloc(3)), errorCode.frameSizeError, "frame-size"],
  ["WINDOW_UPDATE of 0", frameBytes(8, 0, 0, number32(0)), errorCode.protocolError, "frame-protocol"],
  [
    "a connection window above 2^31-1",
    frameBytes(8, 0, 0, number32(0x7fffffff)),
    errorCode.flowControlError,
    "connection-window",
  ],
  ["WINDOW_UPDATE on an idle stream", frameBytes(8, 0, 1, number32(1)), errorCode.protocolError, "stream-id"],
  ["RST_STREAM on an idle stream", frameBytes(3, 0, 1, number32(8)), errorCode.protocolError, "stream-id"],
  ["RST_STREAM of 3 bytes", frameBytes(3, 0, 1, Buffer.alloc(3)), errorCode.frameSizeError, "frame-size"],
  ["DATA on an idle stream", dataBytes(1, hi), errorCode.protocolError, "stream-id"],
  ["DATA on stream 0", dataBytes(0, hi), errorCode.protocolError, "stream-id"],
  ["HEADERS on stream 0", headersBytes(0, requestBlock(echoPath)), errorCode.protocolError, "stream-id"],
  ["HEADERS on an even stream", headersBytes(2, requestBlock(echoPath)), errorCode.protocolError, "stream-id"],
  [
    "a stream before an earlier one",
    Buffer.concat([headersBytes(5, requestBlock(silentPath)), headersBytes(3, requestBlock(silentPath))]),
    errorCode.protocolError,
    "stream-id",
  ],
  ["HEADERS of a stream that is over", Buffer.concat([ended, ended]), errorCode.streamClosed, "closed-stream"],
  ["DATA of a stream that is over", Buffer.concat([ended, dataBytes(1, hi)]), errorCode.streamClosed, "closed-stream"],
  ["CONTINUATION without HEADERS", frameBytes(9, 4, 1), errorCode.protocolError, "frame-protocol"],
  [
    "a PING inside a header block",
    Buffer.concat([frameBytes(1, 0, 1, requestBlock(echoPath)), frameBytes(6, 0, 0, Buffer.alloc(8))]),
    errorCode.protocolError,
    "frame-protocol",
  ],
  [
    "DATA inside a header block",
    Buffer.concat([open, frameBytes(1, 0, 3, requestBlock(echoPath)), dataBytes(1, hi)]),
    errorCode.protocolError,
    "frame-protocol",
  ],
  ["DATA padding over its frame", Buffer.concat([open, padded(0, 9, 8)]), errorCode.protocolError, "frame-protocol"],
  ["padded DATA of 0 bytes", Buffer.concat([open, frameBytes(0, 8, 1)]), errorCode.frameSizeError, "frame-size"],
  ["HEADERS padding over its frame", padded(1, 9, 8), errorCode.protocolError, "frame-protocol"],
  ["padded HEADERS of 0 bytes", frameBytes(1, 0xc, 1), errorCode.frameSizeError, "frame-size"],
  ["HEADERS too short for its priority", frameBytes(1, 0x24, 1, Buffer.alloc(4)), 6, "frame-size"],
  ["padded HEADERS too short for its priority", frameBytes(1, 0x2c, 1, Buffer.alloc(5)), 6, "frame-size"],
  [
    "HEADERS padding over its priority",
    frameBytes(1, 0x2c, 1, Buffer.from([1, 0, 0, 0, 3, 1])),
    errorCode.protocolError,
    "frame-protocol",
  ],
  ["a bad header block", headersBytes(1, Buffer.from([0x80])), errorCode.compressionError, "header-compression"],
  ["PRIORITY on stream 0", frameBytes(2, 0, 0, Buffer.alloc(5)), errorCode.protocolError, "frame-protocol"],
])("%s ends the connection", async (_what, bytes, code, violation) => {
  const client = await server.client();
  client.send(bytes);
  expect(await client.goawayCode()).toBe(code);
  expect(server.violations).toEqual([violation]);
  expect(server.server.load()).toMatchObject({ streams: 0 });
});

test.each<[string, Buffer, number, Http2Violation]>([
  ["a field in upper case", fields([["X-A", "1"]]), errorCode.protocolError, "malformed-request"],
  ["a connection field", fields([["connection", "close"]]), errorCode.protocolError, "malformed-request"],
  ["te: gzip", fields([["te", "gzip"]]), errorCode.protocolError, "malformed-request"],
  ["a pseudo-header after fields", fields([[":authority", "a"]]), errorCode.protocolError, "malformed-request"],
  ["no :path", fields([], requestFields.toSpliced(2, 1)), errorCode.protocolError, "malformed-request"],
  ["no :scheme", fields([], requestFields.toSpliced(1, 1)), errorCode.protocolError, "malformed-request"],
  ["no :method", fields([], requestFields.slice(1)), errorCode.protocolError, "malformed-request"],
  [
    "a content-length that is no number",
    fields([["content-length", "1e3"]]),
    errorCode.protocolError,
    "malformed-request",
  ],
  [
    "more than content-length",
    Buffer.concat([fields([["content-length", "3"]]), dataBytes(1, hi)]),
    errorCode.protocolError,
    "content-length",
  ],
  [
    "less than content-length",
    Buffer.concat([fields([["content-length", "9"]]), dataBytes(1, hi, true)]),
    errorCode.protocolError,
    "content-length",
  ],
  [
    "WINDOW_UPDATE of 0",
    Buffer.concat([open, frameBytes(8, 0, 1, number32(0))]),
    errorCode.protocolError,
    "stream-protocol",
  ],
  [
    "a stream window above 2^31-1",
    Buffer.concat([open, frameBytes(8, 0, 1, number32(0x7fffffff))]),
    errorCode.flowControlError,
    "stream-window",
  ],
  [
    "HEADERS in the middle without the end",
    Buffer.concat([open, headersBytes(1, encodeHeaderBlock([["a", "b"]]))]),
    errorCode.protocolError,
    "malformed-request",
  ],
  [
    "DATA after the end",
    Buffer.concat([headersBytes(1, requestBlock(silentPath), true), dataBytes(1, hi)]),
    errorCode.streamClosed,
    "stream-closed",
  ],
  [
    "DATA after RST_STREAM",
    Buffer.concat([open, frameBytes(3, 0, 1, number32(8)), dataBytes(1, hi)]),
    errorCode.streamClosed,
    "stream-closed",
  ],
  [
    "PRIORITY of 4 bytes",
    Buffer.concat([open, frameBytes(2, 0, 1, Buffer.alloc(4))]),
    errorCode.frameSizeError,
    "stream-protocol",
  ],
])("%s resets the stream, and the connection goes on", async (_what, bytes, code, violation) => {
  const client = await server.client();
  client.send(bytes);
  expect(await client.resetCode(1)).toBe(code);
  expect(server.violations).toEqual([violation]);
  client.send(headersBytes(3, requestBlock(echoPath)), dataBytes(3, hi, true));
  expect((await client.trailers(3))["grpc-status"]).toBe("0");
  expect(client.data(3).equals(hi)).toBe(true);
  expect(server.server.load().streams).toBe(0);
});

test.each([
  ["the preface of HTTP/1.1", Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n")],
  ["a preface that is wrong at its end", Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\rX")],
  ["a first frame that is not SETTINGS", Buffer.concat([clientPreface, frameBytes(6, 0, 0, Buffer.alloc(8))])],
  ["a first frame that answers SETTINGS", Buffer.concat([clientPreface, frameBytes(4, 1, 0)])],
  ["DATA first", Buffer.concat([clientPreface, dataBytes(1, hi)])],
])("%s ends the connection", async (_what, greeting) => {
  const client = await server.client({ greeting });
  expect(await client.goawayCode()).toBe(errorCode.protocolError);
  expect(server.violations).toEqual(["bad-preface"]);
});

test("unknown frames, unknown settings, PRIORITY and padding change nothing", async () => {
  const client = await server.client();
  client.send(
    frameBytes(0x77, 0xff, 9, Buffer.from("whatever")),
    settingsBytes({ 153: 5 }),
    frameBytes(2, 0, 7, Buffer.alloc(5)),
    frameBytes(
      frameType.headers,
      frameFlag.endHeaders | frameFlag.padded | frameFlag.priority,
      1,
      Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 16]), requestBlock(echoPath), Buffer.alloc(3)]),
    ),
    frameBytes(
      frameType.data,
      frameFlag.padded | frameFlag.endStream,
      1,
      Buffer.concat([Buffer.from([200]), hi, Buffer.alloc(200)]),
    ),
  );
  expect((await client.trailers(1))["grpc-status"]).toBe("0");
  expect(client.data(1).equals(hi)).toBe(true);
  expect(server.violations).toEqual([]);
});

test("request trailers end the request", async () => {
  const client = await server.client();
  client.send(
    headersBytes(1, requestBlock(echoPath)),
    dataBytes(1, hi),
    headersBytes(1, encodeHeaderBlock([["a", "b"]]), true),
  );
  expect((await client.trailers(1))["grpc-status"]).toBe("0");
});

test.each([
  ["415", "POST", [["content-type", "application/json"]]],
  ["415", "POST", [["content-type", "application/grpcfoo"]]],
  ["415", "POST", []],
  ["405", "GET", [["content-type", "application/grpc"]]],
] as const)("answers %s to %s with %j", async (status, method, extra) => {
  const client = await server.client();
  const block = encodeHeaderBlock([[":method", method], [":scheme", "http"], [":path", echoPath], ...extra]);
  client.send(headersBytes(1, block));
  const answer = await client.frame(frameType.headers, 1);
  expect(answer.fields[":status"]).toBe(status);
  client.send(dataBytes(1, Buffer.from("body"), true));
  await client.settle();
  expect(client.data(1).toString()).toContain("gRPC");
  expect(server.server.load()).toMatchObject({ streams: 0, deadlines: 0 });
  expect(server.violations).toEqual(["not-grpc"]);
});

test("the answer to HEAD tells its length and has no content", async () => {
  const client = await server.client();
  const fields = [
    [":method", "HEAD"],
    [":scheme", "http"],
    [":path", "/"],
  ] as const;
  client.send(headersBytes(1, encodeHeaderBlock(fields), true));
  expect((await client.frame(frameType.headers, 1)).fields).toMatchObject({ ":status": "405", "content-length": "42" });
  await client.settle();
  expect(client.data(1).length).toBe(0);
  expect(server.server.load()).toMatchObject({ streams: 0, deadlines: 0 });
});

test.each([
  ["application/grpc+proto", "0"],
  ["application/grpc; charset=utf-8", "0"],
])("content-type %s is gRPC", async (contentType, status) => {
  const client = await server.client();
  const block = encodeHeaderBlock([...requestFields.slice(0, 3), ["content-type", contentType]]);
  client.send(headersBytes(1, block, true));
  expect((await client.trailers(1))["grpc-status"]).toBe(status);
});

test.each([
  ["an unknown encoding", [["grpc-encoding", "br"]], hi, "12"],
  ["a malformed timeout", [["grpc-timeout", "5 minutes"]], hi, "13"],
  ["a message flag of 2", [], grpcMessage(Buffer.from("x"), 2), "13"],
  ["a compressed message without encoding", [], grpcMessage(Buffer.from("x"), 1), "13"],
  ["bad gzip", [["grpc-encoding", "gzip"]], grpcMessage(Buffer.from("x"), 1), "13"],
  ["an end inside a message", [], hi.subarray(0, 6), "13"],
  ["an end inside a prefix", [], hi.subarray(0, 3), "13"],
] as const)("%s ends the RPC with a status", async (_what, extra, body, status) => {
  const client = await server.client();
  client.send(headersBytes(1, requestBlock(echoPath, extra)), dataBytes(1, body, true));
  expect((await client.trailers(1))["grpc-status"]).toBe(status);
  expect(server.service.open).toBe(0);
});

test("a deadline passes without the client's help", async () => {
  const client = await server.client();
  client.send(headersBytes(1, requestBlock(silentPath, [["grpc-timeout", "20m"]])));
  expect(await client.trailers(1)).toMatchObject({ "grpc-status": "4", "grpc-message": "deadline exceeded" });
  expect(await client.resetCode(1)).toBe(errorCode.noError);
  expect(server.service).toMatchObject({ open: 0, cancelled: 1 });
});

test("a handler that throws ends its RPC with INTERNAL, and nothing else", async () => {
  const client = await server.client();
  client.send(headersBytes(1, requestBlock("/test.Service/Throw")), dataBytes(1, hi));
  expect((await client.trailers(1))["grpc-status"]).toBe("13");
  expect(server.handlerErrors.map(String)).toEqual(["Error: a bug in the handler"]);
  // It hears of the end, so that it can let go of what it holds.
  expect(server.service).toMatchObject({ open: 0, cancelled: 1 });
  client.send(headersBytes(3, requestBlock(echoPath)), dataBytes(3, hi, true));
  expect((await client.trailers(3))["grpc-status"]).toBe("0");
});
