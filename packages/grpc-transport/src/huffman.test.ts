import { expect, test } from "vitest";
import { decodeHuffman } from "./huffman.ts";

function decode(hex: string): string | undefined {
  const bytes = Buffer.from(hex, "hex");
  const out = Buffer.alloc(bytes.length * 2);
  const written = decodeHuffman(bytes, 0, bytes.length, out);
  return written < 0 ? undefined : out.toString("latin1", 0, written);
}

test("the examples of RFC 7541 decode", () => {
  expect(decode("f1e3c2e5f23a6ba0ab90f4ff")).toBe("www.example.com");
  expect(decode("a8eb10649cbf")).toBe("no-cache");
  expect(decode("25a849e95bb8e8b4bf")).toBe("custom-value");
  expect(decode("9d29ad171863c78f0b97c8e9ae82ae43d3")).toBe("https://www.example.com");
});

test("an empty string decodes to an empty string", () => {
  expect(decode("")).toBe("");
});

test("padding of a whole byte, of zeros, and the end-of-string symbol are refused", () => {
  expect(decode("f1e3c2e5f23a6ba0ab90f4ff".concat("ff"))).toBeUndefined();
  expect(decode("1c")).toBeUndefined();
  expect(decode("fffffffc")).toBeUndefined();
});
