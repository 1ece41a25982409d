import { instantiateXxh64, type Xxh64Module } from "./xxh64.gen.ts";

/** The compiled module with its memory as bytes and as 32-bit words. */
export interface Xxh64Instance {
  readonly module: Xxh64Module;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
}

/** Where input is put, bytes; the hash stands before it. */
export const inputAt = 1024;

/** Input is handed over in steps of this size, which stay in a core's own cache. */
export const stepBytes = 65_536;

let instance: Xxh64Instance | undefined;

/** The one instance of the process, made on first use. No hash runs inside another, so all share its memory. */
export function xxh64Instance(): Xxh64Instance {
  if (instance === undefined) {
    const module = instantiateXxh64();
    const { buffer } = module.memory;
    instance = { module, bytes: new Uint8Array(buffer), words: new Uint32Array(buffer) };
  }
  return instance;
}
