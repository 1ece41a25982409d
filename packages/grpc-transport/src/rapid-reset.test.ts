import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import {
  dataBytes,
  emptySettings,
  frameBytes,
  grpcMessage,
  headersBytes,
  number32,
  type RawHttp2Client,
  requestBlock,
} from "../test/raw-http2-client.ts";
import { TestServer } from "../test/serve-http2.ts";
import { echoPath, silentPath } from "../test/test-service.ts";
import { clientPreface, errorCode, frameType } from "./http2-protocol.ts";

const servers: TestServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.end();
});
async function serve(): Promise<TestServer> {
  const server = await TestServer.start();
  servers.push(server);
  return server;
}

const count = 5000;
const ids = Array.from({ length: count }, (_, at) => at * 2 + 3);
const block = requestBlock(silentPath);
const message = grpcMessage(Buffer.from("hi"));
const reset = (streamId: number): Buffer => frameBytes(frameType.rstStream, 0, streamId, number32(errorCode.cancel));

/** Frames that the server sent, SETTINGS and the connection's window left out. */
const answers = (client: RawHttp2Client): number =>
  client.frames.filter(({ type, streamId }) => type !== frameType.settings && streamId !== 0).length;

test.each([
  ["each right after its request", () => ids.flatMap((id) => [headersBytes(id, block), reset(id)])],
  ["each after a message", () => ids.flatMap((id) => [headersBytes(id, block), dataBytes(id, message), reset(id)])],
  ["after all requests", () => [...ids.map((id) => headersBytes(id, block)), ...ids.map(reset)]],
  ["of requests that are whole", () => ids.flatMap((id) => [headersBytes(id, block, true), reset(id)])],
])("5,000 resets, %s, cost no answer and leave the other streams alone", async (_how, burst) => {
  const server = await serve();
  const client = await server.client();
  client.send(headersBytes(1, requestBlock(echoPath)), dataBytes(1, message));
  await client.frame(frameType.data, 1);
  const before = answers(client);
  client.send(...burst());
  await client.settle();
  expect(answers(client)).toBe(before);
  expect(server.violations).toEqual([]);
  expect(server.server.load()).toMatchObject({ connections: 1, streams: 1, unsentBytes: 0 });
  expect(server.service).toMatchObject({ open: 1, cancelled: count });
  client.send(dataBytes(1, message, true));
  expect((await client.trailers(1))["grpc-status"]).toBe("0");
});

test.each<[string, (id: number) => Buffer]>([
  ["a window of 0", (id) => frameBytes(frameType.windowUpdate, 0, id, number32(0))],
  ["a window above 2^31-1", (id) => frameBytes(frameType.windowUpdate, 0, id, number32(0x7fffffff))],
  ["PRIORITY of a wrong length", (id) => frameBytes(frameType.priority, 0, id, Buffer.alloc(4))],
])("5,000 streams that %s makes the server reset get one answer each, and the others go on", async (_what, fault) => {
  const server = await serve();
  const client = await server.client();
  client.send(headersBytes(1, requestBlock(echoPath)), dataBytes(1, message));
  await client.frame(frameType.data, 1);
  const before = answers(client);
  client.send(...ids.flatMap((id) => [headersBytes(id, block), fault(id)]));
  await client.settle();
  expect(answers(client)).toBe(before + count);
  expect(server.violations).toHaveLength(count);
  expect(server.service).toMatchObject({ open: 1, cancelled: count });
  client.send(dataBytes(1, message, true));
  expect((await client.trailers(1))["grpc-status"]).toBe("0");
});

test("resets without end end their connection only", async () => {
  const server = await serve();
  const [hostile, honest] = [await server.client(), await server.client()];
  honest.send(headersBytes(1, requestBlock(echoPath)), dataBytes(1, message));
  hostile.send(
    ...Array.from({ length: 30_000 }, (_, at) => Buffer.concat([headersBytes(at * 2 + 1, block), reset(at * 2 + 1)])),
  );
  expect(await hostile.goawayCode()).toBe(errorCode.enhanceYourCalm);
  expect(server.violations).toEqual(["reset-flood"]);
  honest.send(dataBytes(1, message, true));
  expect((await honest.trailers(1))["grpc-status"]).toBe("0");
});

test("a client that ends its side of the connection with RPCs open loses them, and nothing is left", async () => {
  const server = await serve();
  const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.resume();
  socket.write(Buffer.concat([clientPreface, emptySettings, headersBytes(1, block), dataBytes(1, message)]));
  await server.service.until(() => server.service.messages === 1);
  const closed = new Promise((resolve) => socket.once("end", resolve));
  socket.end();
  await closed;
  expect(server.service).toMatchObject({ open: 0, cancelled: 1 });
  expect(server.server.load().streams).toBe(0);
});
