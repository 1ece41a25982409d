import fc from "fast-check";
import { expect, test } from "vitest";
import { imageSize } from "./image-size.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const base64 = (...parts: readonly (readonly number[])[]): string => Buffer.from(parts.flat()).toString("base64");
const dataUrl = (payload: string, type = "png"): Uint8Array => utf8(`data:image/${type};base64,${payload}`);
const ascii = (text: string): number[] => [...Buffer.from(text, "latin1")];
const u16 = (value: number): number[] => [value >> 8, value & 0xff];
const u32 = (value: number): number[] => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];

const png = (width: number, height: number): number[] => [
  ...[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13],
  ...ascii("IHDR"),
  ...u32(width),
  ...u32(height),
  ...[8, 6, 0, 0, 0],
];
const gif = (width: number, height: number): number[] => [
  ...ascii("GIF89a"),
  ...[width & 0xff, width >> 8, height & 0xff, height >> 8, 0, 0, 0],
];
const segment = (marker: number, content: readonly number[]): number[] => [
  0xff,
  marker,
  ...u16(content.length + 2),
  ...content,
];
const jpeg = (frame: number, width: number, height: number, before: readonly number[] = []): number[] => [
  ...[0xff, 0xd8],
  ...before,
  ...segment(frame, [8, ...u16(height), ...u16(width), 3, 1, 0x22, 0]),
];

test.each([
  { name: "PNG", bytes: png(1920, 1080) },
  { name: "GIF", bytes: gif(1920, 1080) },
  { name: "baseline JPEG", bytes: jpeg(0xc0, 1920, 1080, segment(0xe0, ascii("JFIF"))) },
  { name: "extended JPEG", bytes: jpeg(0xc1, 1920, 1080) },
  { name: "progressive JPEG", bytes: jpeg(0xc2, 1920, 1080, [0xff, 0xff, ...segment(0xdb, new Array(65).fill(1))]) },
  { name: "JPEG with a marker without content", bytes: jpeg(0xc0, 1920, 1080, [0xff, 0x01, 0xff, 0xd0]) },
  {
    name: "JPEG behind large metadata",
    bytes: jpeg(0xc0, 1920, 1080, [
      ...segment(0xe1, new Array(65_000).fill(7)),
      ...segment(0xe2, new Array(64_999).fill(0xff)),
    ]),
  },
])("the size of a $name is read from a data URL and from bare base64", ({ bytes }) => {
  const size = { width: 1920, height: 1080 };
  expect(imageSize(dataUrl(base64(bytes)))).toEqual(size);
  expect(imageSize(utf8(base64(bytes)))).toEqual(size);
});

test.each([
  { name: "a URL", reference: utf8("https://example.com/cat.png") },
  { name: "nothing", reference: new Uint8Array(0) },
  { name: "a data URL without base64", reference: utf8("data:image/svg+xml,<svg/>") },
  { name: "a data URL without a payload", reference: dataUrl("") },
  { name: "another format", reference: dataUrl(base64(ascii("RIFF....WEBPVP8 ")), "webp") },
  { name: "a PNG that ends in its header", reference: dataUrl(base64(png(7, 7).slice(0, 22))) },
  { name: "a PNG without width", reference: dataUrl(base64(png(0, 7))) },
  { name: "a GIF without height", reference: dataUrl(base64(gif(7, 0))) },
  { name: "a GIF that ends in its header", reference: dataUrl(base64(gif(7, 7).slice(0, 9))) },
  { name: "a JPEG of arithmetic coding", reference: dataUrl(base64(jpeg(0xc9, 7, 7))) },
  { name: "a JPEG that ends before its frame", reference: dataUrl(base64([0xff, 0xd8, ...segment(0xe0, [1, 2])])) },
  { name: "a JPEG with a bad length", reference: dataUrl(base64([0xff, 0xd8, 0xff, 0xe0, 0, 1, 0, 0])) },
  { name: "a JPEG with bytes between its parts", reference: dataUrl(base64(jpeg(0xc0, 7, 7, [0, 0]))) },
  { name: "an image that is not base64", reference: dataUrl("!!!!") },
  { name: "base64 that starts late", reference: utf8(`data:image/${"x".repeat(2000)};base64,${base64(png(7, 7))}`) },
])("$name has no size", ({ reference }) => {
  expect(imageSize(reference)).toBeUndefined();
});

test("a JPEG of nothing but small parts is given up", () => {
  const parts = Array.from({ length: 1100 }, () => segment(0xe0, [])).flat();
  expect(imageSize(dataUrl(base64(jpeg(0xc0, 7, 7, parts))))).toBeUndefined();
});

test("whatever the bytes, there is a size above 0 or none", () => {
  const starts = fc.constantFrom<readonly number[]>([], png(1, 1), gif(1, 1), jpeg(0xc0, 1, 1), [0xff, 0xd8, 0xff]);
  fc.assert(
    fc.property(starts, fc.uint8Array({ maxLength: 60 }), fc.nat(40), (start, noise, kept) => {
      const size = imageSize(dataUrl(base64(start.slice(0, kept), [...noise])));
      if (size !== undefined) {
        expect(size.width).toBeGreaterThan(0);
        expect(size.height).toBeGreaterThan(0);
      }
    }),
  );
});

test("any size survives the way through a header", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 65_535 }),
      fc.integer({ min: 1, max: 65_535 }),
      fc.nat(9),
      (width, height, pad) => {
        const filler = segment(0xe0, new Array(pad).fill(0xff));
        for (const bytes of [png(width, height), gif(width, height), jpeg(0xc2, width, height, filler)]) {
          expect(imageSize(dataUrl(base64(bytes)))).toEqual({ width, height });
        }
      },
    ),
  );
});
