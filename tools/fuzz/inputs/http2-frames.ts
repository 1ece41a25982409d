import {
  dataBytes,
  frameBytes,
  grpcMessage,
  headersBytes,
  number32,
  requestBlock,
  settingsBytes,
} from "../../../packages/grpc-transport/test/raw-http2-client.ts";
import { echoPath, silentPath, sizePath, statusPath } from "../../../packages/grpc-transport/test/test-service.ts";
import type { FuzzRandom } from "../fuzz-random.ts";

const paths = [echoPath, echoPath, silentPath, sizePath, statusPath, "/nothing"];
const extras: readonly (readonly (readonly [string, string])[])[] = [
  [],
  [],
  [],
  [["grpc-timeout", "1m"]],
  [["grpc-timeout", "90000000H"]],
  [["grpc-encoding", "gzip"]],
  [["content-length", "7"]],
  [["content-length", "99999999999999999999"]],
  [["X", "y"]],
  [["x-long", "v".repeat(3000)]],
];

function block(random: FuzzRandom): Buffer {
  if (random.oneIn(20)) return random.bytes(random.below(40));
  return requestBlock(random.pick(paths), random.pick(extras));
}

function body(random: FuzzRandom): Buffer {
  switch (random.below(6)) {
    case 0:
      return random.bytes(random.below(40));
    case 1:
      return grpcMessage(Buffer.from(random.pick(["0", "100", "20000", "70000", "9999999", "13 text", "0 "])));
    case 2:
      return grpcMessage(random.bytes(random.below(300)), random.below(3));
    case 3:
      // Announces more than comes.
      return Buffer.concat([Buffer.of(0), number32(random.pick([1, 1000, 4_194_304, 4_194_305, 0xffffffff]))]);
    default:
      return grpcMessage(random.bytes(random.below(60)));
  }
}

function headers(random: FuzzRandom, id: number): Buffer {
  const fields = block(random);
  if (!random.oneIn(6)) return headersBytes(id, fields, random.oneIn(3));
  const cut = random.below(fields.length + 1);
  const parts = [frameBytes(1, random.pick([0, 1]), id, fields.subarray(0, cut))];
  const count = random.oneIn(20) ? 30 : random.below(3);
  for (let at = 0; at < count; at++) parts.push(frameBytes(9, 0, id));
  parts.push(frameBytes(9, 4, random.oneIn(20) ? id + 2 : id, fields.subarray(cut)));
  return Buffer.concat(parts);
}

function data(random: FuzzRandom, id: number): Buffer {
  const bytes = body(random);
  if (!random.oneIn(6)) return dataBytes(id, bytes, random.oneIn(3));
  const pad = random.below(256);
  return frameBytes(0, 8 | (random.oneIn(3) ? 1 : 0), id, Buffer.concat([Buffer.of(pad), bytes, Buffer.alloc(pad)]));
}

/** Frames after a connection's start: mostly valid, some not, in any order. */
export function frameSequence(random: FuzzRandom): Buffer {
  const frames: Buffer[] = [];
  // The first frame must be SETTINGS.
  if (!random.oneIn(10)) frames.push(settingsBytes(random.oneIn(2) ? {} : { 4: random.below(200_000) }));
  let nextId = 1;
  const openId = (): number => (random.oneIn(12) ? random.below(nextId + 4) : 1 + 2 * random.below((nextId + 1) / 2));
  for (let count = random.below(random.pick([4, 20, 60])); count > 0; count--) {
    switch (random.below(12)) {
      case 0:
      case 1:
      case 2:
        frames.push(headers(random, nextId));
        nextId += random.pick([2, 2, 2, 4, 0]);
        break;
      case 3:
      case 4:
      case 5:
        frames.push(data(random, openId()));
        break;
      case 6:
        frames.push(frameBytes(3, 0, openId(), number32(random.below(14))));
        break;
      case 7:
        frames.push(
          frameBytes(8, 0, random.oneIn(2) ? 0 : openId(), number32(random.pick([0, 1, 1000, 65_535, 0x7fffffff]))),
        );
        break;
      case 8:
        frames.push(
          settingsBytes({ [1 + random.below(7)]: random.pick([0, 1, 100, 16_384, 65_535, 0x7fffffff, 0xffffffff]) }),
        );
        break;
      case 9:
        frames.push(
          random.pick([
            frameBytes(6, random.below(2), 0, Buffer.alloc(8)),
            frameBytes(4, 1, 0),
            frameBytes(2, 0, openId(), Buffer.alloc(random.pick([4, 5, 5]))),
            frameBytes(7, 0, 0, Buffer.alloc(8)),
          ]),
        );
        break;
      case 10:
        // The same frame many times over.
        frames.push(...Array.from({ length: random.below(40) }, () => frames.at(-1) ?? settingsBytes({})));
        break;
      default:
        frames.push(
          frameBytes(random.below(12), random.below(256), random.below(nextId + 4), random.bytes(random.below(60))),
        );
    }
  }
  return Buffer.concat(frames);
}
