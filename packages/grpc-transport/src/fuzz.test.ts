import { setImmediate } from "node:timers/promises";
import {
  type Arbitrary,
  array,
  asyncProperty,
  assert as check,
  constantFrom,
  integer,
  oneof,
  record,
  tuple,
  uint8Array,
} from "fast-check";
import { expect, test } from "vitest";
import {
  dataBytes,
  emptySettings,
  frameBytes,
  grpcMessage,
  headersBytes,
  number32,
  type RawHttp2Client,
  requestBlock,
  settingsBytes,
} from "../test/raw-http2-client.ts";
import { TestServer } from "../test/serve-http2.ts";
import { echoPath, silentPath, sizePath, statusPath } from "../test/test-service.ts";

// FUZZ_RUNS makes the runs longer; the seed is printed when a run fails.
const numRuns = Number(process.env["FUZZ_RUNS"] ?? 150);

/** Sends the bytes in the given cuts, then shows that the server is well and holds nothing of the connection. */
async function survives(bytes: Uint8Array, cuts: readonly number[]): Promise<void> {
  const server = await TestServer.start();
  try {
    await feed(server, bytes, cuts);
  } finally {
    server.end();
  }
}

async function feed(server: TestServer, bytes: Uint8Array, cuts: readonly number[]): Promise<void> {
  const client: RawHttp2Client = await server.client();
  let at = 0;
  for (const cut of [...cuts].map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b)) {
    client.send(bytes.subarray(at, cut));
    at = cut;
    await setImmediate();
  }
  client.send(bytes.subarray(at));
  const witness = await server.client();
  witness.send(headersBytes(1, requestBlock(echoPath)), dataBytes(1, grpcMessage(Buffer.from("well")), true));
  expect((await witness.trailers(1))["grpc-status"]).toBe("0");
  witness.close();
  client.close();
  for (let turn = 0; turn < 1000 && server.server.load().connections > 0; turn++) await setImmediate();
  expect(server.server.load()).toEqual({ connections: 0, streams: 0, unsentBytes: 0, deadlines: 0 });
  expect(server.handlerErrors).toEqual([]);
  expect(server.service.open).toBe(0);
}

const cuts = array(
  integer({ min: 0, max: 1000 }).map((share) => share / 1000),
  { maxLength: 6 },
);
const id = integer({ min: 0, max: 12 });
const block = tuple(
  constantFrom(echoPath, silentPath, sizePath, statusPath, "/nothing"),
  constantFrom<readonly (readonly [string, string])[]>(
    [],
    [["grpc-timeout", "1m"]],
    [["grpc-encoding", "gzip"]],
    [["content-length", "7"]],
    [["X", "y"]],
  ),
).map(([path, extra]) => requestBlock(path, extra));
const body = oneof(
  uint8Array({ maxLength: 40 }),
  uint8Array({ maxLength: 40 }).map((bytes) => grpcMessage(bytes)),
  constantFrom(...["100", "20000", "70000"].map((text) => grpcMessage(Buffer.from(text)))),
);
const validFrame: Arbitrary<Buffer> = oneof(
  record({ id, block }).map((of) => headersBytes(of.id | 1, of.block)),
  record({ id, block }).map((of) => headersBytes(of.id | 1, of.block, true)),
  record({ id, body }).map((of) => dataBytes(of.id | 1, of.body)),
  record({ id, body }).map((of) => dataBytes(of.id | 1, of.body, true)),
  id.map((of) => frameBytes(3, 0, of | 1, number32(8))),
  tuple(id, integer({ min: 0, max: 100_000 })).map(([of, count]) => frameBytes(8, 0, of, number32(count))),
  tuple(integer({ min: 1, max: 6 }), integer({ min: 0, max: 100_000 })).map(([key, value]) =>
    settingsBytes({ [key]: value }),
  ),
  constantFrom(emptySettings, frameBytes(6, 0, 0, Buffer.alloc(8)), frameBytes(4, 1, 0)),
);
const anyFrame = tuple(
  integer({ min: 0, max: 11 }),
  integer({ min: 0, max: 255 }),
  id,
  uint8Array({ maxLength: 60 }),
).map(([type, flags, of, payload]) => frameBytes(type, flags, of, payload));

test("random bytes after the preface neither crash nor hang nor leak", async () => {
  await check(
    asyncProperty(uint8Array({ maxLength: 3000 }), cuts, (bytes, at) => survives(bytes, at)),
    { numRuns },
  );
}, 600_000);

test("random frames neither crash nor hang nor leak", async () => {
  await check(
    asyncProperty(array(oneof(validFrame, anyFrame), { maxLength: 40 }), cuts, (frames, at) =>
      survives(Buffer.concat(frames), at),
    ),
    { numRuns },
  );
}, 600_000);

test("valid sequences with flipped bytes neither crash nor hang nor leak", async () => {
  const flips = array(tuple(integer({ min: 0, max: 1_000_000 }), integer({ min: 1, max: 255 })), { maxLength: 5 });
  await check(
    asyncProperty(array(validFrame, { minLength: 1, maxLength: 60 }), flips, cuts, (frames, mutations, at) => {
      const bytes = Buffer.concat(frames);
      for (const [place, bits] of mutations) bytes[place % bytes.length]! ^= bits;
      return survives(bytes, at);
    }),
    { numRuns },
  );
}, 600_000);
