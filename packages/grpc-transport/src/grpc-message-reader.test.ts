import { array, assert as check, integer, property, uint8Array } from "fast-check";
import { expect, test } from "vitest";
import { grpcMessage } from "../test/raw-http2-client.ts";
import { GrpcMessageReader } from "./grpc-message-reader.ts";
import { PartialMessages } from "./partial-messages.ts";

function readAll(reader: GrpcMessageReader, chunk: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  let at = 0;
  for (;;) {
    const message = reader.push(chunk, at, chunk.length);
    if (message === undefined) return messages;
    messages.push(message);
    at += reader.used;
  }
}

test("messages are the same however the bytes are cut", () => {
  void check(
    property(
      array(uint8Array({ maxLength: 50 }), { maxLength: 8 }),
      array(integer({ min: 1, max: 30 })),
      (bodies, cuts) => {
        const bytes = Buffer.concat(bodies.map((body) => grpcMessage(body)));
        const reader = new GrpcMessageReader(1000, undefined, new PartialMessages(200_000_000));
        const messages: Buffer[] = [];
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          messages.push(...readAll(reader, bytes.subarray(at, at + cut)));
          at += cut;
        }
        expect(messages.map((message) => message.toString("hex"))).toEqual(
          bodies.map((body) => Buffer.from(body).toString("hex")),
        );
        expect(reader.isMidMessage).toBe(false);
      },
    ),
  );
});

test("a message stays as it is when the bytes it came in are overwritten", () => {
  const chunk = grpcMessage(Buffer.from("hello"));
  const [message] = readAll(new GrpcMessageReader(1000, undefined, new PartialMessages(200_000_000)), chunk);
  chunk.fill(0);
  expect(message!.toString()).toBe("hello");
});

test("a length alone takes little memory, and a large message arrives whole", () => {
  const reader = new GrpcMessageReader(100_000_000, undefined, new PartialMessages(200_000_000));
  const before = process.memoryUsage().arrayBuffers;
  const body = Buffer.alloc(3_000_000, "z");
  const bytes = grpcMessage(body);
  expect(readAll(reader, bytes.subarray(0, 10))).toEqual([]);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8_000_000);
  let whole: Buffer[] = [];
  for (let at = 10; at < bytes.length; at += 16_384) whole = readAll(reader, bytes.subarray(at, at + 16_384));
  expect(whole.length).toBe(1);
  expect(whole[0]!.equals(body)).toBe(true);
});

test("a length over the limit is refused before its bytes come", () => {
  const reader = new GrpcMessageReader(1000, undefined, new PartialMessages(200_000_000));
  expect(readAll(reader, grpcMessage(Buffer.alloc(1001)).subarray(0, 5))).toEqual([]);
  expect(reader.failure).toMatchObject({ code: 8, message: "message of 1001 bytes is larger than the limit of 1000" });
});
