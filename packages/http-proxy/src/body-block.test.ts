import fc from "fast-check";
import { expect, test } from "vitest";
import { allocateBlock, blockHeadBytes, frameBlock } from "./body-block.ts";

function framed(body: string, last: boolean): string {
  const block = allocateBlock(body.length);
  block.fill(1);
  block.write(body, blockHeadBytes, "latin1");
  return frameBlock(block, blockHeadBytes, blockHeadBytes + body.length, last).toString("latin1");
}

test("a body becomes one chunk with its size in hexadecimal", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70_000 }), fc.boolean(), (bytes, last) => {
      const body = "x".repeat(bytes);
      expect(framed(body, last)).toBe(`${bytes.toString(16)}\r\n${body}\r\n${last ? "0\r\n\r\n" : ""}`);
    }),
  );
});

test("an empty body makes no chunk, which would end the answer", () => {
  expect(framed("", false)).toBe("");
  expect(framed("", true)).toBe("0\r\n\r\n");
});
