const slabBytes = 65_536;
/** Larger arrays have memory of their own. */
const largestBytes = 4096;

let slab = new ArrayBuffer(0);
let usedBytes = 0;

/** Where in the slab the next `bytes` bytes stand, which nobody has had before. */
function place(bytes: number): number {
  if (usedBytes + bytes > slab.byteLength) {
    slab = new ArrayBuffer(slabBytes);
    usedBytes = 0;
  }
  const at = usedBytes;
  usedBytes += Math.ceil(bytes / 8) * 8;
  return at;
}

/**
 * `length` zeros. Small arrays share memory, so that one costs a tenth of what V8 takes for an array of more than 64
 * bytes, and the collector has less to follow: for what every request needs and no request keeps for long. As with Node's
 * small buffers, `buffer` holds more than the array: it is not to be transferred to a worker, which would take it from all.
 */
export function zeroedFloat64(length: number): Float64Array {
  const bytes = length * 8;
  if (bytes > largestBytes) return new Float64Array(length);
  const at = place(bytes);
  return new Float64Array(slab, at, length);
}

/** As {@link zeroedFloat64}, of 32-bit integers. */
export function zeroedInt32(length: number): Int32Array {
  const bytes = length * 4;
  if (bytes > largestBytes) return new Int32Array(length);
  const at = place(bytes);
  return new Int32Array(slab, at, length);
}

/** As {@link zeroedFloat64}, of unsigned 32-bit integers. */
export function zeroedUint32(length: number): Uint32Array {
  const bytes = length * 4;
  if (bytes > largestBytes) return new Uint32Array(length);
  const at = place(bytes);
  return new Uint32Array(slab, at, length);
}

/** As {@link zeroedFloat64}, of bytes. The array starts at a multiple of 8 of its `buffer`. */
export function zeroedBytes(length: number): Uint8Array {
  if (length > largestBytes) return new Uint8Array(length);
  const at = place(length);
  return new Uint8Array(slab, at, length);
}
