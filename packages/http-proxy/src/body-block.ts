/** Free bytes in front of a body block: room for a chunk's size line. */
export const blockHeadBytes = 10;
/** Free bytes behind a body block: room for a chunk's end and the last chunk. */
export const blockTailBytes = 7;

/** A buffer for `bytes` of body with room around them. Not cleared. */
export function allocateBlock(bytes: number): Buffer {
  return Buffer.allocUnsafe(blockHeadBytes + bytes + blockTailBytes);
}

/**
 * Makes the body at `start` to `end` of a block a chunk, in place, and appends the last chunk when asked. Returns the
 * part of the block to send. An empty body makes no chunk.
 */
export function frameBlock(block: Buffer, start: number, end: number, last: boolean): Buffer {
  let from = start;
  let to = end;
  if (end > start) {
    block[--from] = 10;
    block[--from] = 13;
    let rest = end - start;
    do {
      const digit = rest & 15;
      block[--from] = digit < 10 ? 48 + digit : 87 + digit;
      rest >>>= 4;
    } while (rest > 0);
    block[to++] = 13;
    block[to++] = 10;
  }
  if (last) {
    block[to++] = 48;
    block[to++] = 13;
    block[to++] = 10;
    block[to++] = 13;
    block[to++] = 10;
  }
  return block.subarray(from, to);
}
