import { Socket } from "node:net";
import { expect, test } from "vitest";
import { FrameWriter } from "./frame-writer.ts";
import { SlabPool, slabBytes } from "./slab-pool.ts";

/** A socket whose writes take as long as the test wants. */
class HeldSocket extends Socket {
  readonly written: Buffer[] = [];
  #done: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(Buffer.from(chunk));
    this.#done = done;
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: () => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "", done);
  }

  finish(): void {
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }
}

class CountingPool extends SlabPool {
  taken = 0;

  override take(): Buffer {
    this.taken++;
    return super.take();
  }

  override give(slab: Buffer): void {
    this.taken--;
    // Who reads it now sees it.
    super.give(slab.fill(0xff));
  }
}

test("a connection with a write under way at any time gives back what it has written", () => {
  const socket = new HeldSocket();
  const pool = new CountingPool();
  const writer = new FrameWriter(socket, pool, () => {});
  const part = (round: number): Buffer => Buffer.alloc(8000, round % 250);
  const rounds = 500;
  writer.bytes(part(0), 0, 8000);
  writer.flush();
  for (let round = 1; round < rounds; round++) {
    writer.bytes(part(round), 0, 8000);
    writer.flush();
    socket.finish();
    expect(writer.isWriting).toBe(true);
    expect(pool.taken * slabBytes).toBeLessThan(4 * slabBytes);
  }
  while (writer.isWriting) socket.finish();
  expect(pool.taken).toBe(0);
  expect(Buffer.concat(socket.written).equals(Buffer.concat(Array.from({ length: rounds }, (_, at) => part(at))))).toBe(
    true,
  );
  socket.destroy();
});
