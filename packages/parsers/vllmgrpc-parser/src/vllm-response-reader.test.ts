import { readFileSync } from "node:fs";
import { Headers, type Usage } from "@pointsman/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cut, type Field, frame, message, packed } from "../test/encode.ts";
import { VllmResponseReader } from "./vllm-response-reader.ts";

const golden: { readonly frames: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(new URL("./golden/vllm-frames.json", import.meta.url), "utf8"),
);
const goldenFrame = (name: string): Buffer => Buffer.from(golden.frames[name]!, "hex");

/** What was read of an answer that arrives in these pieces; the pieces come out as they are. */
function read(pieces: readonly Uint8Array[]): { readonly usage: Usage | undefined; readonly events: number } {
  const reader = new VllmResponseReader();
  pieces.forEach((piece, i) => {
    expect(reader.chunk(piece, i === pieces.length - 1)).toBe(piece);
  });
  return { usage: reader.usage, events: reader.events };
}

interface Counts {
  readonly tokens?: readonly number[];
  readonly prompt?: number;
  readonly completion?: number;
  readonly cached?: number;
  readonly index?: number;
}

const numbers = (pairs: readonly (readonly [number, number | undefined])[]): Field[] =>
  pairs.flatMap(([number, value]): Field[] => (value === undefined || value === 0 ? [] : [[number, value]]));

const chunk = ({ tokens, prompt, completion, cached, index }: Counts): Buffer =>
  frame(
    message([
      [
        1,
        [
          ...(tokens === undefined ? [] : [[1, packed(tokens)] as const]),
          ...numbers([
            [2, prompt],
            [3, completion],
            [4, cached],
            [7, index],
          ]),
        ],
      ],
    ]),
  );

const complete = ({ tokens, prompt, completion, cached, index }: Counts): Buffer =>
  frame(
    message([
      [
        2,
        [
          ...(tokens === undefined ? [] : [[1, packed(tokens)] as const]),
          [2, "stop"],
          ...numbers([
            [3, prompt],
            [4, completion],
            [5, cached],
            [8, index],
          ]),
        ],
      ],
    ]),
  );

const usage = (
  promptTokens: number | undefined,
  completionTokens: number,
  cachedTokens: number | undefined = 0,
): Usage => ({
  promptTokens,
  completionTokens,
  totalTokens: (promptTokens ?? 0) + completionTokens,
  cachedTokens,
});

describe("frames of another encoder", () => {
  test("that hold a chunk are an event with usage", () => {
    expect(read([goldenFrame("chunk")])).toEqual({ usage: usage(7, 3, 4), events: 1 });
  });

  test("that hold the end give its usage", () => {
    expect(read([goldenFrame("complete")])).toEqual({ usage: usage(7, 10, 5), events: 0 });
  });

  test("that hold an embedding give the prompt's tokens", () => {
    expect(read([goldenFrame("embedding")])).toEqual({ usage: { ...usage(3, 0), cachedTokens: undefined }, events: 0 });
  });
});

test("a server that reports the tokens of each message is counted up", () => {
  const stream = [
    chunk({ tokens: [1, 2], prompt: 7, completion: 2, cached: 4 }),
    chunk({ tokens: [3], prompt: 7, completion: 1, cached: 4 }),
    chunk({ tokens: [4, 5, 6], prompt: 7, completion: 3, cached: 4 }),
    complete({ tokens: [4, 5, 6], prompt: 7, completion: 3, cached: 4 }),
  ];
  expect(read(stream)).toEqual({ usage: usage(7, 6, 4), events: 3 });
});

test("a server that reports all tokens so far is not counted twice", () => {
  const stream = [
    chunk({ tokens: [1], prompt: 7, completion: 1 }),
    chunk({ tokens: [2], prompt: 7, completion: 2 }),
    complete({ prompt: 7, completion: 2 }),
  ];
  expect(read(stream)).toEqual({ usage: usage(7, 2), events: 2 });
});

test("a server that reports only at the end is believed", () => {
  const stream = [chunk({ tokens: [1, 2, 3] }), complete({ prompt: 7, completion: 10 })];
  expect(read(stream)).toEqual({ usage: usage(7, 10), events: 1 });
});

test("samples of one answer add up", () => {
  const whole = [
    complete({ tokens: [1, 2], prompt: 7, completion: 2 }),
    complete({ tokens: [3, 4, 5], prompt: 7, completion: 3, index: 1 }),
  ];
  expect(read([Buffer.concat(whole)])).toEqual({ usage: usage(7, 5), events: 0 });
  const streamed = [
    chunk({ tokens: [1], prompt: 7, completion: 1 }),
    chunk({ tokens: [2, 3], prompt: 7, completion: 2, index: 1 }),
    complete({ tokens: [1], prompt: 7, completion: 1 }),
    chunk({ tokens: [4], prompt: 7, completion: 1, index: 1 }),
    complete({ tokens: [4], prompt: 7, completion: 1, index: 1 }),
  ];
  expect(read([Buffer.concat(streamed)])).toEqual({ usage: usage(7, 4), events: 3 });
});

test("what is read does not depend on where the answer is cut", () => {
  const count = fc.nat(300);
  const tokens = fc.array(count, { maxLength: 5 });
  const part = fc.record({ tokens, prompt: count, completion: count, cached: count, index: fc.nat(2) });
  const frames = fc.array(fc.oneof(part.map(chunk), part.map(complete)), { maxLength: 6 });
  fc.assert(
    fc.property(frames, fc.array(fc.nat(), { maxLength: 20 }), (parts, places) => {
      const body = Buffer.concat(parts);
      expect(read(cut(body, places))).toEqual(read(parts));
    }),
  );
});

test("before the first count nothing is known", () => {
  expect(read([chunk({})])).toEqual({ usage: undefined, events: 1 });
  expect(read([chunk({ tokens: [1] })]).usage).toEqual(usage(undefined, 1));
  expect(read([complete({ prompt: 3 })]).usage).toEqual(usage(3, 0));
});

test.each([
  ["text", Buffer.from("no healthy upstream")],
  ["a malformed message", frame(Buffer.from([0x0a, 9, 1]))],
  ["a malformed chunk", frame(message([[1, Buffer.from([0x10])]]))],
  ["a compressed message", frame(message([[2, [[3, 7]]]]), 1)],
  ["a message that is cut", complete({ prompt: 7, completion: 10 }).subarray(0, -1)],
  ["nothing", Buffer.alloc(0)],
])("%s passes unread", (_, bytes) => {
  expect(read([bytes]).usage).toBeUndefined();
});

test("a compressed message does not hide the ones behind it", () => {
  const body = [frame(Buffer.from("zipped"), 1), complete({ prompt: 7, completion: 10 })];
  expect(read([Buffer.concat(body)]).usage).toEqual(usage(7, 10));
});

test("any bytes pass and are never thrown at", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), fc.boolean(), (parts, framed) => {
      read(framed ? parts.map((part) => frame(part)) : parts);
    }),
    { numRuns: 1000 },
  );
});

test("memory for samples is bounded", () => {
  const reader = new VllmResponseReader();
  for (let index = 1; index <= 5000; index++) reader.chunk(complete({ prompt: 1, completion: 1, index }), false);
  expect(reader.usage).toEqual(usage(1, 1024));
});

test("the parser gives such a reader, streamed or not", async () => {
  const { buildPlugin } = await import("@pointsman/testkit");
  const { default: vllmgrpcParser } = await import("./index.ts");
  const { instance } = buildPlugin(vllmgrpcParser);
  for (const streaming of [true, false]) {
    const context = { headers: new Headers(), streaming, restoreModel: { from: "a", to: "b" } };
    const reader = instance.responseReader?.(undefined, context);
    const body = complete({ prompt: 7, completion: 10 });
    expect(reader?.chunk(body, true)).toBe(body);
    expect(reader?.usage).toEqual(usage(7, 10));
  }
});

test("with memory short, the message at hand is given up and the next ones count", () => {
  const reader = new VllmResponseReader();
  const first = chunk({ prompt: 5, completion: 3 });
  reader.chunk(first.subarray(0, first.length - 1), false);
  expect(reader.keptBytes).toBe(first.length - 6);
  reader.letGo();
  expect(reader.keptBytes).toBe(0);
  reader.chunk(first.subarray(first.length - 1), false);
  expect([reader.events, reader.usage]).toEqual([0, undefined]);
  reader.chunk(first, true);
  expect(reader.usage).toMatchObject({ promptTokens: 5, completionTokens: 3 });
});
