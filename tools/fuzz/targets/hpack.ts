import { HpackDecoder } from "../../../packages/grpc-transport/src/hpack-decoder.ts";
import type { FuzzRandom } from "../fuzz-random.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { BadBlock, PlainHpack } from "../reference/plain-hpack.ts";
import { encodeHuffmanPlainly } from "../reference/plain-huffman.ts";

const tableBytes = 4096;
const listBytes = 1500;
/** A list this many times over its limit ends the connection. */
const bombFactor = 16;

const names = [":path", "content-type", "x-request-id", "te", "X-Upper", "", "a b", "grpc-timeout", "x".repeat(60)];
const values = ["", "/a/b", "application/grpc", "trailers", " padded ", "a\nb", "\u00ff\u0000", "v".repeat(200)];

/** An integer with a prefix. Source: RFC 7541 section 5.1. */
function number(first: number, bits: number, value: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.of(first | value);
  const bytes = [first | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

function text(random: FuzzRandom, choices: readonly string[]): Buffer {
  const bytes = random.oneIn(5) ? random.bytes(random.below(30)) : Buffer.from(random.pick(choices), "latin1");
  const coded = random.oneIn(2) ? encodeHuffmanPlainly(bytes) : undefined;
  return Buffer.concat([number(coded === undefined ? 0 : 0x80, 7, (coded ?? bytes).length), coded ?? bytes]);
}

function field(random: FuzzRandom): Buffer {
  const index = random.oneIn(8) ? random.below(200) : 1 + random.below(70);
  switch (random.below(random.oneIn(10) ? 6 : 5)) {
    case 0:
    case 1:
      return number(0x80, 7, index);
    case 2:
      return Buffer.concat([number(0x40, 6, index), text(random, values)]);
    case 3:
      return Buffer.concat([Buffer.of(0x40), text(random, names), text(random, values)]);
    case 4:
      return Buffer.concat([Buffer.of(random.pick([0, 0x10])), text(random, names), text(random, values)]);
    default:
      return number(0x20, 5, random.pick([0, 50, 200, tableBytes, tableBytes + 1]));
  }
}

/** Blocks after one another, each with its length in two bytes before it. */
function* blocksOf(input: Uint8Array): Generator<Buffer> {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.length);
  for (let at = 0; at + 2 <= bytes.length; ) {
    const length = bytes.readUInt16BE(at);
    yield bytes.subarray(at + 2, at + 2 + length);
    at += 2 + length;
  }
}

const target: FuzzTarget = {
  summary:
    "HPACK blocks of one connection: the fields that a plain reader reads, or both refuse; table and list bounded",
  maxInputBytes: 6000,
  sample: (random) =>
    Buffer.concat(
      random.list(6, () => {
        const resize = random.oneIn(6) ? [number(0x20, 5, random.pick([0, 100, 1000, tableBytes]))] : [];
        const block = Buffer.concat([...resize, ...random.list(12, () => field(random))]);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(Math.min(block.length, 0xffff));
        return Buffer.concat([length, block]);
      }),
    ),
  check(input) {
    const decoder = new HpackDecoder(tableBytes, listBytes);
    const plain = new PlainHpack(tableBytes);
    for (const block of blocksOf(input)) {
      const read: string[] = [];
      const problem = decoder.decode(block, 0, block.length, {
        field: (name, value) => {
          read.push(`${name}: ${value}`);
        },
      });
      const wanted: string[] = [];
      let bytes = 0;
      let bad = false;
      try {
        plain.read(block, ({ name, value }) => {
          bytes += name.length + value.length + 32;
          if (bytes > listBytes * bombFactor) throw new BadBlock("bomb");
          if (bytes <= listBytes) wanted.push(`${name}: ${value}`);
        });
      } catch (thrown: unknown) {
        if (!(thrown instanceof BadBlock)) throw thrown;
        bad = true;
      }
      if (bad !== (problem !== undefined)) throw new Error(`the problem is ${problem}, a plain reader's is ${bad}`);
      if (read.join("\n") !== wanted.join("\n"))
        throw new Error(`read ${JSON.stringify(read)}, not ${JSON.stringify(wanted)}`);
      if (bad) return;
      if (decoder.tooLarge !== bytes > listBytes) throw new Error(`tooLarge is ${decoder.tooLarge} for ${bytes} bytes`);
      if (decoder.tableBytes !== plain.tableBytes || decoder.tableBytes > tableBytes) {
        throw new Error(`the table has ${decoder.tableBytes} bytes, a plain one ${plain.tableBytes}`);
      }
    }
  },
};
export default target;
