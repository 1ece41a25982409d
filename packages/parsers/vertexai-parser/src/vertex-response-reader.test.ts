import { readFileSync } from "node:fs";
import { Headers, type Usage } from "@pointsman/core";
import { buildPlugin } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cut, type Field, frame, message } from "../test/encode.ts";
import vertexaiParser from "./index.ts";

const golden: { readonly frames: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(new URL("./golden/vertex-frames.json", import.meta.url), "utf8"),
);
const goldenFrame = (name: string): Buffer => Buffer.from(golden.frames[name]!, "hex");

const { instance } = buildPlugin(vertexaiParser);

/** What was read of an answer that arrives in these pieces; the pieces come out as they are. */
function read(
  streaming: boolean,
  pieces: readonly Uint8Array[],
): { readonly usage: Usage | undefined; readonly events: number } {
  const headers = Headers.from([["content-type", "application/grpc"]]);
  const reader = instance.responseReader!(undefined, { headers, streaming, restoreModel: { from: "a", to: "b" } });
  pieces.forEach((piece, i) => {
    expect(reader.chunk(piece, i === pieces.length - 1)).toBe(piece);
  });
  return { usage: reader.usage, events: reader.events };
}

const body = (data: string | Uint8Array, contentType?: string): Buffer => {
  const type: Field[] = contentType === undefined ? [] : [[1, contentType]];
  return frame(message([...type, [2, data]]));
};

const usage = (promptTokens: number, completionTokens: number): Usage => ({
  promptTokens,
  completionTokens,
  totalTokens: promptTokens + completionTokens,
  cachedTokens: undefined,
});

const json = (prompt: number, completion: number): string =>
  `{"model":"a","usage":{"prompt_tokens":${prompt},"completion_tokens":${completion}}}`;
const event = (prompt: number, completion: number): string => `data: ${json(prompt, completion)}\n\n`;

test("frames of another encoder give their usage", () => {
  expect(read(false, [goldenFrame("answer")])).toEqual({ usage: usage(10, 20), events: 0 });
  expect(read(true, [goldenFrame("answer event")])).toEqual({ usage: usage(4, 6), events: 1 });
});

describe("an answer that is no stream", () => {
  test("is one JSON text, however messages and chunks cut it", () => {
    const places = fc.array(fc.nat(), { maxLength: 6 });
    fc.assert(
      fc.property(places, places, fc.constantFrom(undefined, "application/json"), (inner, outer, type) => {
        const frames = cut(Buffer.from(json(7, 10)), inner).map((part) => body(part, type));
        expect(read(false, cut(Buffer.concat(frames), outer))).toEqual({ usage: usage(7, 10), events: 0 });
      }),
    );
  });

  test("is read as a stream when it says that it is one", () => {
    const pieces = [body(event(7, 10), "text/event-stream; charset=utf-8"), body("data: [DONE]\n\n")];
    expect(read(false, pieces)).toEqual({ usage: usage(7, 10), events: 1 });
  });
});

describe("a stream", () => {
  test("of events is read however messages and chunks cut it", () => {
    const text = `data: {"choices":[]}\n\n${event(7, 10)}data: [DONE]\n\n`;
    const places = fc.array(fc.nat(), { maxLength: 8 });
    fc.assert(
      fc.property(places, places, (inner, outer) => {
        const frames = cut(Buffer.from(text), inner).map((part) => body(part, "TEXT/event-stream"));
        expect(read(true, cut(Buffer.concat(frames), outer))).toEqual({ usage: usage(7, 10), events: 2 });
      }),
    );
  });

  test("without a content type is told by its first byte", () => {
    expect(read(true, [body(event(1, 2)), body("data: [DONE]\n\n")])).toEqual({ usage: usage(1, 2), events: 1 });
    expect(read(true, [body(" \n{}"), body(json(3, 4))])).toEqual({ usage: usage(3, 4), events: 2 });
  });

  test("of JSON texts takes the last usage", () => {
    const pieces = [json(3, 1), '{"choices":[]}', json(3, 9), "not json"].map((each) => body(each, "application/json"));
    expect(read(true, pieces)).toEqual({ usage: usage(3, 9), events: 4 });
  });

  test("of several messages in one chunk loses none", () => {
    const pieces = [event(1, 1), event(1, 2), event(1, 3)].map((each) => body(each, "text/event-stream"));
    expect(read(true, [Buffer.concat(pieces)])).toEqual({ usage: usage(1, 3), events: 3 });
  });
});

test("an empty body says nothing of those behind it", () => {
  expect(read(true, [frame(Buffer.alloc(0)), body("", "application/json"), body(event(1, 2))])).toEqual({
    usage: usage(1, 2),
    events: 1,
  });
});

test.each([
  ["text", Buffer.from("no healthy upstream")],
  ["a malformed message", frame(Buffer.from([0x12, 9]))],
  ["a compressed message", frame(message([[2, json(7, 10)]]), 1)],
  ["a cut message", body(json(7, 10)).subarray(0, -1)],
  ["another text in the body", body("<html>")],
  ["nothing", Buffer.alloc(0)],
])("%s passes unread", (_, bytes) => {
  for (const streaming of [true, false]) expect(read(streaming, [bytes]).usage).toBeUndefined();
});

test("any bytes pass and are never thrown at", () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 });
  fc.assert(
    fc.property(parts, fc.boolean(), fc.boolean(), (pieces, streaming, framed) => {
      read(streaming, framed ? pieces.map((piece) => body(piece)) : pieces);
    }),
    { numRuns: 1000 },
  );
});

test("with memory short, what is kept of messages and of the text in them is given up", () => {
  const headers = Headers.from([["content-type", "application/grpc"]]);
  const reader = instance.responseReader!(undefined, { headers, streaming: false, restoreModel: undefined });
  const text = json(7, 9);
  const second = body(text.slice(10));
  reader.chunk(body(text.slice(0, 10)), false);
  reader.chunk(second.subarray(0, 8), false);
  expect(reader.keptBytes).toBe(10 + 3);
  reader.letGo!();
  expect(reader.keptBytes).toBe(0);
  reader.chunk(second.subarray(8), true);
  expect([reader.keptBytes, reader.usage]).toEqual([0, undefined]);
});
