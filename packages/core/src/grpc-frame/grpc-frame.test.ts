import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readGrpcMessage } from "./grpc-frame.ts";
import { GrpcFrameReader } from "./grpc-frame-reader.ts";

function frame(message: Uint8Array, flag = 0): Buffer {
  const header = Buffer.alloc(5);
  header[0] = flag;
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

function announce(length: number, flag = 0): Buffer {
  const header = Buffer.alloc(5);
  header[0] = flag;
  header.writeUInt32BE(length, 1);
  return header;
}

/** Cuts bytes at the given places, in whatever order they are given. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

function read(
  pieces: readonly Uint8Array[],
  maxMessageBytes?: number,
): { messages: string[]; reader: GrpcFrameReader } {
  const messages: string[] = [];
  const reader = new GrpcFrameReader((message) => messages.push(Buffer.from(message).toString("hex")), maxMessageBytes);
  for (const piece of pieces) reader.push(piece);
  return { messages, reader };
}

const bytes = fc.uint8Array({ maxLength: 40 });

describe("a whole body", () => {
  test("gives its first message as a view, whatever follows", () => {
    fc.assert(
      fc.property(bytes, bytes, (message, rest) => {
        const body = Buffer.concat([frame(message), rest]);
        const result = readGrpcMessage(body);
        if (!result.ok) throw new Error(result.problem);
        expect(Buffer.from(result.message)).toEqual(Buffer.from(message));
        expect(result.message.buffer).toBe(body.buffer);
      }),
    );
  });

  test("that is cut anywhere is refused", () => {
    fc.assert(
      fc.property(bytes, fc.nat(), (message, at) => {
        const body = frame(message);
        expect(readGrpcMessage(body.subarray(0, at % body.length)).ok).toBe(false);
      }),
    );
  });

  test.each([
    ["nothing", Buffer.alloc(0), "a message starts with 5 bytes, got 0"],
    ["a compressed message", frame(Buffer.from("x"), 1), "compressed messages are not understood"],
    ["an unknown flag", frame(Buffer.from("x"), 2), "a message starts with 0 or 1, got 2"],
    ["a length of 4 GiB", announce(0xffffffff), "a message of 4294967295 bytes is announced, got 0"],
    ["text", Buffer.from("no healthy upstream"), "a message starts with 0 or 1, got 110"],
  ])("of %s is refused in words", (_, body, problem) => {
    expect(readGrpcMessage(body)).toEqual({ ok: false, problem });
  });
});

describe("a body in pieces", () => {
  test("gives every message once and in order, wherever it is cut", () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 30 }), (messages, places) => {
        const body = Buffer.concat(messages.map((message) => frame(message)));
        const { messages: found, reader } = read(cut(body, places));
        expect(found).toEqual(messages.map((message) => Buffer.from(message).toString("hex")));
        expect(reader.noGrpc).toBe(false);
      }),
    );
  });

  test("gives the messages that are complete when it breaks off", () => {
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1, maxLength: 5 }), fc.nat(), (messages, at) => {
        const frames = messages.map((message) => frame(message));
        const length = at % (Buffer.concat(frames).length + 1);
        const ends = frames.map((_, i) => Buffer.concat(frames.slice(0, i + 1)).length);
        const complete = ends.filter((end) => end <= length).length;
        expect(read([Buffer.concat(frames).subarray(0, length)]).messages.length).toBe(complete);
      }),
    );
  });

  test("is not read byte by byte differently", () => {
    const body = Buffer.concat([frame(Buffer.from("ab")), frame(Buffer.alloc(0)), frame(Buffer.alloc(3000, 7))]);
    expect(read([...body].map((byte) => Uint8Array.of(byte))).messages).toEqual(read([body]).messages);
  });

  test("gives a message that lies in one piece without copying it", () => {
    const body = frame(Buffer.from("abc"));
    let view: Uint8Array | undefined;
    new GrpcFrameReader((message) => {
      view = message;
    }).push(body);
    expect(view?.buffer).toBe(body.buffer);
  });

  test("gives a message that was put together in memory of its own", () => {
    const kept: Uint8Array[] = [];
    const reader = new GrpcFrameReader((message) => kept.push(message));
    const body = Buffer.concat([frame(Buffer.from("abc")), frame(Buffer.from("xyz"))]);
    for (const byte of body) reader.push(Uint8Array.of(byte));
    expect(kept.map((message) => Buffer.from(message).toString())).toEqual(["abc", "xyz"]);
  });

  test("passes over compressed and overlong messages and reads those behind them", () => {
    const body = Buffer.concat([
      frame(Buffer.from("a")),
      frame(Buffer.from("compressed"), 1),
      frame(Buffer.alloc(0), 1),
      frame(Buffer.from("b")),
      frame(Buffer.alloc(11, 1)),
      frame(Buffer.alloc(10, 2)),
    ]);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 20 }), (places) => {
        expect(read(cut(body, places), 10).messages).toEqual(["61", "62", "02".repeat(10)]);
      }),
    );
  });

  test("that is no gRPC is read no further", () => {
    const { messages, reader } = read([frame(Buffer.from("a")), Buffer.from("no healthy"), frame(Buffer.from("b"))]);
    expect(messages).toEqual(["61"]);
    expect(reader.noGrpc).toBe(true);
  });

  test("takes no memory for what is only announced", () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 200 }, () => {
      const reader = new GrpcFrameReader(() => {}, 2 ** 32);
      reader.push(announce(0xffffffff));
      reader.push(Buffer.from("x"));
      return reader;
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    expect(readers.length).toBe(200);
  });
});

test("a message that is let go is passed over, and the next ones are given", () => {
  fc.assert(
    fc.property(bytes, bytes, fc.nat(), (first, second, place) => {
      const framed = frame(first);
      const at = place % framed.length;
      const { messages, reader } = read([framed.subarray(0, at)]);
      const keptBytes = Math.max(0, at - 5);
      expect(reader.keptBytes).toBe(keptBytes);
      reader.letGo();
      expect(reader.keptBytes).toBe(0);
      reader.push(Buffer.concat([framed.subarray(at), frame(second)]));
      const hex = [first, second].map((message) => Buffer.from(message).toString("hex"));
      expect(messages).toEqual(keptBytes > 0 ? hex.slice(1) : hex);
    }),
  );
});
