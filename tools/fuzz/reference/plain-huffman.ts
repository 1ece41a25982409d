import { codeBits } from "../../../packages/grpc-transport/src/huffman.ts";

/** Codes as texts of 0 and 1, by symbol; the last is the end of a string. Source: RFC 7541 appendix B. */
const codes: string[] = [];
const symbols = new Map<string, number>();
let code = 0n;
let bits = 0;
for (const symbol of codeBits.map((_, at) => at).sort((a, b) => codeBits[a]! - codeBits[b]! || a - b)) {
  code <<= BigInt(codeBits[symbol]! - bits);
  bits = codeBits[symbol]!;
  codes[symbol] = code.toString(2).padStart(bits, "0");
  symbols.set(codes[symbol]!, symbol);
  code++;
}
const endOfString = 256;

/** Encodes a string as HPACK wants it. */
export function encodeHuffmanPlainly(bytes: Uint8Array): Buffer {
  const text = Array.from(bytes, (byte) => codes[byte]!).join("");
  const padded = text.padEnd(Math.ceil(text.length / 8) * 8, "1");
  return Buffer.from(padded.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
}

/** Reads a string bit by bit. Gives undefined for what is no valid code. */
export function readHuffmanPlainly(bytes: Uint8Array): Buffer | undefined {
  const read: number[] = [];
  let pending = "";
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      pending += (byte >> bit) & 1;
      const symbol = symbols.get(pending);
      if (symbol === endOfString) return undefined;
      if (symbol === undefined) continue;
      read.push(symbol);
      pending = "";
    }
  }
  return pending.length < 8 && !pending.includes("0") ? Buffer.from(read) : undefined;
}
