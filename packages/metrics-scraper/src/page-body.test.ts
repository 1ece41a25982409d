import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { pageEncoding, unpackedPage } from "./page-body.ts";
import { PollFailure } from "./poll-failure.ts";

const text = (body: Uint8Array | PollFailure): string =>
  body instanceof PollFailure ? `failed: ${body.reason}` : Buffer.from(body).toString();

test.each([
  ["", "identity"],
  ["identity", "identity"],
  ["GZIP", "gzip"],
  ["x-gzip", "gzip"],
  ["br", undefined],
  ["gzip, gzip", undefined],
])("content encoding %j is read as %j", (header, encoding) => {
  expect(pageEncoding(header)).toBe(encoding);
});

test("a packed page comes out as it went in", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (page) => {
      const body = unpackedPage(gzipSync(page), "gzip", 3000);
      expect(body).not.toBeInstanceOf(PollFailure);
      expect(Buffer.compare(Buffer.from(body as Uint8Array), page)).toBe(0);
    }),
  );
});

test("a page that unpacks to more than the limit is refused", () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  expect(bomb.length).toBeLessThan(60_000);
  expect(text(unpackedPage(bomb, "gzip", 1_000_000))).toBe(
    "failed: the unpacked page is larger than the limit of 1000000 bytes",
  );
});

test.each([
  ["no gzip", Buffer.from("up 1\n"), /not valid gzip/],
  ["cut off", gzipSync("up 1\n".repeat(100)).subarray(0, 20), /not valid gzip/],
  ["empty", Buffer.alloc(0), /not valid gzip/],
])("a body that is %s instead of a packed page is refused", (_what, body, reason) => {
  expect(text(unpackedPage(body, "gzip", 1000))).toMatch(reason);
});
