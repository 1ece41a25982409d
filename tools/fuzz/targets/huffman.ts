import { decodeHuffman } from "../../../packages/grpc-transport/src/huffman.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { encodeHuffmanPlainly, readHuffmanPlainly } from "../reference/plain-huffman.ts";

const guard = 0x2e;

const target: FuzzTarget = {
  summary: "HPACK's Huffman code: what a reader of single bits reads, nothing written beyond",
  sample: (random) => encodeHuffmanPlainly(random.bytes(random.below(random.pick([4, 40, 400])))),
  check(input) {
    const wanted = readHuffmanPlainly(input);
    const out = Buffer.alloc(input.length * 2 + 1, guard);
    const written = decodeHuffman(input, 0, input.length, out.subarray(0, input.length * 2));
    if (written < 0 !== (wanted === undefined)) throw new Error(`${written} bytes read, expected ${wanted?.length}`);
    if (wanted !== undefined && !out.subarray(0, written).equals(wanted)) throw new Error("other bytes were read");
    if (out[input.length * 2] !== guard) throw new Error("a byte beyond the output was written");
  },
};
export default target;
