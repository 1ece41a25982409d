import { gzipSync } from "node:zlib";
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
import { echoPath } from "../test/test-service.ts";
import type { Http2Limits } from "./http2-limits.ts";
import { clientPreface, frameType, settingId } from "./http2-protocol.ts";
import { InflateBudget } from "./inflate-budget.ts";

const servers: TestServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.end();
});
async function serve(limits: Partial<Http2Limits>): Promise<TestServer> {
  const server = await TestServer.start({ maxReceiveBytes: 100_000, limits });
  servers.push(server);
  return server;
}
/** A client that takes whatever comes. */
function open(server: TestServer): Promise<RawHttp2Client> {
  const settings = settingsBytes({ [settingId.initialWindowSize]: 0x7fffffff });
  const window = frameBytes(frameType.windowUpdate, 0, 0, number32(1 << 30));
  return server.client({ greeting: Buffer.concat([clientPreface, settings, window]) });
}
const zeros = (count: number): Buffer => grpcMessage(gzipSync(Buffer.alloc(count)), 1);
const block = requestBlock(echoPath, [["grpc-encoding", "gzip"]]);
const plain = grpcMessage(Buffer.from("hi"));

test("a connection that has too much decompressed loses the RPC that goes on; its others and other clients do not", async () => {
  const server = await serve({ inflateBurstBytes: 150_000, inflateBytesPerSecond: 0 });
  const client = await open(server);
  client.send(headersBytes(1, block), dataBytes(1, Buffer.concat([zeros(90_000), zeros(90_000), zeros(90_000)])));
  expect(await client.trailers(1)).toMatchObject({ "grpc-status": "8" });
  expect(server.violations).toEqual(["inflate-flood"]);
  expect(server.service).toMatchObject({ messages: 2, messageBytes: 180_000, open: 0, cancelled: 1 });
  client.send(headersBytes(3, block), dataBytes(3, zeros(1)));
  expect(await client.trailers(3)).toMatchObject({ "grpc-status": "8" });
  client.send(headersBytes(5, block), dataBytes(5, plain, true));
  expect(await client.trailers(5)).toMatchObject({ "grpc-status": "0" });
  const other = await open(server);
  other.send(headersBytes(1, block), dataBytes(1, zeros(40_000), true));
  expect(await other.trailers(1)).toMatchObject({ "grpc-status": "0" });
});

test("a burst smaller than one message lets one message of the allowed size through", async () => {
  const server = await serve({ inflateBurstBytes: 0, inflateBytesPerSecond: 0 });
  const client = await open(server);
  client.send(headersBytes(1, block), dataBytes(1, zeros(50_000)), dataBytes(1, zeros(49_000), true));
  expect(await client.trailers(1)).toMatchObject({ "grpc-status": "0" });
});

test("messages count what comes of them, or what is least, and time makes up for them", () => {
  let nowMs = 0;
  const budget = new InflateBudget(10_000, 1_000, () => nowMs);
  const messages = (bytes: number): number => {
    let count = 0;
    for (; budget.begin(); count++) budget.spend(bytes);
    return count;
  };
  expect(messages(1)).toBe(3);
  nowMs = 20_000;
  expect(messages(5_000)).toBe(2);
  nowMs = 40_000;
  expect(messages(60_000)).toBe(1);
  nowMs = 80_000;
  expect(budget.begin()).toBe(false);
  nowMs = 95_000;
  expect(budget.begin()).toBe(true);
});
