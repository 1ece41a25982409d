import { afterEach, expect, test } from "vitest";
import {
  dataBytes,
  frameBytes,
  grpcMessage,
  headersBytes,
  number32,
  type RawHttp2Client,
  requestBlock,
  settingsBytes,
} from "../test/raw-http2-client.ts";
import { TestServer } from "../test/serve-http2.ts";
import { echoPath, silentPath } from "../test/test-service.ts";
import { clientPreface, errorCode, frameType, settingId } from "./http2-protocol.ts";
import { PartialMessages } from "./partial-messages.ts";

const servers: TestServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.end();
});
async function serve(maxPartialMessageBytes: number, maxReceiveBytes: number): Promise<TestServer> {
  const server = await TestServer.start({ maxReceiveBytes, limits: { maxPartialMessageBytes } });
  servers.push(server);
  return server;
}
/** A client that takes whatever comes. */
function open(server: TestServer): Promise<RawHttp2Client> {
  const settings = settingsBytes({ [settingId.initialWindowSize]: 0x7fffffff });
  return server.client({ greeting: Buffer.concat([clientPreface, settings, frameBytes(8, 0, 0, number32(1 << 30))]) });
}
/** DATA frames of bytes, each as large as frames may be. */
function data(streamId: number, bytes: Buffer, endStream = false): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 16_384) {
    frames.push(dataBytes(streamId, bytes.subarray(at, at + 16_384), endStream && at + 16_384 >= bytes.length));
  }
  return Buffer.concat(frames);
}
const block = requestBlock(echoPath);
const message = grpcMessage(Buffer.alloc(100_000, "m"));
const most = message.subarray(0, 90_000);
const rest = message.subarray(90_000);
const reset = (id: number): Buffer => frameBytes(frameType.rstStream, 0, id, number32(errorCode.cancel));

test("a connection's messages that are not complete have a bound: the RPC beyond it ends, the others go on", async () => {
  const server = await serve(350_000, 150_000);
  const client = await open(server);
  for (const id of [1, 3, 5, 7]) client.send(headersBytes(id, block), data(id, most));
  expect(await client.trailers(7)).toMatchObject({ "grpc-status": "8" });
  expect(server.violations).toEqual(["partial-messages"]);
  for (const id of [1, 3, 5]) client.send(data(id, rest, true));
  for (const id of [1, 3, 5]) {
    expect((await client.trailers(id))["grpc-status"]).toBe("0");
    expect(client.data(id).equals(message)).toBe(true);
  }
  expect(server.violations).toHaveLength(1);
});

test("what is complete, cancelled, refused or past its deadline makes room again", async () => {
  const server = await serve(150_000, 150_000);
  const client = await open(server);
  let id = 1;
  for (let round = 0; round < 5; round++, id += 10) {
    client.send(headersBytes(id, block), data(id, message, true));
    expect((await client.trailers(id))["grpc-status"]).toBe("0");
    client.send(headersBytes(id + 2, block), data(id + 2, most), reset(id + 2));
    client.send(headersBytes(id + 4, requestBlock(silentPath, [["grpc-timeout", "1m"]])), data(id + 4, most));
    expect((await client.trailers(id + 4))["grpc-status"]).toBe("4");
    // The end inside a message.
    client.send(headersBytes(id + 6, block), data(id + 6, most, true));
    expect((await client.trailers(id + 6))["grpc-status"]).toBe("13");
  }
  client.send(headersBytes(id, block), data(id, message, true));
  expect((await client.trailers(id))["grpc-status"]).toBe("0");
  expect(server.violations).toEqual(Array.from({ length: 5 }, () => "message-malformed"));
});

test("one message of the allowed size fits, however low the bound", async () => {
  const server = await serve(1, 150_000);
  const client = await open(server);
  client.send(headersBytes(1, block), data(1, message, true));
  expect((await client.trailers(1))["grpc-status"]).toBe("0");
  expect(server.violations).toEqual([]);
});

test("connections do not take each other's room", async () => {
  const server = await serve(150_000, 150_000);
  const [first, second] = [await open(server), await open(server)];
  for (const client of [first, second]) client.send(headersBytes(1, block), data(1, most.subarray(0, 60_000)));
  for (const client of [first, second]) client.send(data(1, message.subarray(60_000), true));
  for (const client of [first, second]) expect((await client.trailers(1))["grpc-status"]).toBe("0");
  expect(server.violations).toEqual([]);
});

test("takes up to the bound and no byte more", () => {
  const partials = new PartialMessages(10);
  expect(partials.take(10)).toBe(true);
  expect(partials.take(1)).toBe(false);
  partials.give(4);
  expect(partials.take(5)).toBe(false);
  expect(partials.take(4)).toBe(true);
  expect(partials.byteCount).toBe(10);
});
