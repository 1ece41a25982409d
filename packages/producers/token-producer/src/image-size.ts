import { Base64Bytes } from "./base64-bytes.ts";
import type { Resolution } from "./params.ts";

const pngStart = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52];
const jpegStart = [0xff, 0xd8];
const gifStarts = ["GIF87a", "GIF89a"].map((text) => [...text].map((character) => character.charCodeAt(0)));

const dataUrlStart = "data:image/";
const payloadStart = "base64,";
/** Where a data URL's payload starts at the latest. */
const maxDataUrlHeader = 1024;
/** Parts of a JPEG before its frame header that are skipped at most. */
const maxJpegSegments = 1000;

/**
 * Reads the size of an inline image: a `data:image/` URL or base64 text of a PNG, JPEG or GIF.
 * Returns `undefined` for URLs, other formats and what cannot be read. Looks at headers only.
 */
export function imageSize(reference: Uint8Array): Resolution | undefined {
  const start = payloadAt(reference);
  if (start === undefined) return undefined;
  const bytes = new Base64Bytes(reference, start);
  let size: Resolution | undefined;
  if (bytes.startsWith(pngStart, 0)) {
    size = { width: bytes.bigEndian(16, 4), height: bytes.bigEndian(20, 4) };
  } else if (bytes.startsWith(jpegStart, 0)) {
    size = jpegSize(bytes);
  } else if (gifStarts.some((gifStart) => bytes.startsWith(gifStart, 0))) {
    size = { width: littleEndian16(bytes, 6), height: littleEndian16(bytes, 8) };
  }
  return size !== undefined && size.width > 0 && size.height > 0 ? size : undefined;
}

/** Where the base64 text starts; `undefined` for a data URL that holds none. */
function payloadAt(reference: Uint8Array): number | undefined {
  if (!holds(reference, 0, dataUrlStart)) return 0;
  const last = Math.min(reference.length, maxDataUrlHeader) - payloadStart.length;
  for (let at = dataUrlStart.length; at <= last; at++) {
    if (holds(reference, at, payloadStart)) return at + payloadStart.length;
  }
  return undefined;
}

function holds(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (bytes[at + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

function jpegSize(bytes: Base64Bytes): Resolution | undefined {
  let at = jpegStart.length;
  for (let segment = 0; segment < maxJpegSegments; segment++) {
    if (bytes.byte(at) !== 0xff) return undefined;
    const marker = bytes.byte(at + 1);
    if (marker === 0xff) {
      // A fill byte.
      at += 1;
      continue;
    }
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
      // Markers without content.
      at += 2;
      continue;
    }
    const length = bytes.bigEndian(at + 2, 2);
    if (length < 2) return undefined;
    // Baseline, extended and progressive frames.
    if (marker >= 0xc0 && marker <= 0xc2) {
      return { width: bytes.bigEndian(at + 7, 2), height: bytes.bigEndian(at + 5, 2) };
    }
    at += 2 + length;
  }
  return undefined;
}

function littleEndian16(bytes: Base64Bytes, at: number): number {
  const low = bytes.byte(at);
  const high = bytes.byte(at + 1);
  return low === -1 || high === -1 ? -1 : high * 256 + low;
}
