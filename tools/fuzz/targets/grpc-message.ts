import { gzipSync } from "node:zlib";
import { GrpcMessageReader } from "../../../packages/grpc-transport/src/grpc-message-reader.ts";
import { InflateBudget } from "../../../packages/grpc-transport/src/inflate-budget.ts";
import { PartialMessages } from "../../../packages/grpc-transport/src/partial-messages.ts";
import { FuzzRandom } from "../fuzz-random.ts";
import { cutBytes, type FuzzTarget } from "../fuzz-target.ts";

const maxMessageBytes = 4000;

interface Reading {
  readonly messages: readonly string[];
  readonly failure: string | undefined;
  readonly isMidMessage: boolean;
}

function read(pieces: readonly Buffer[], gzip: boolean): Reading {
  const partials = new PartialMessages(maxMessageBytes);
  const inflates = gzip ? new InflateBudget(1_000_000, 0, () => 0) : undefined;
  const reader = new GrpcMessageReader(maxMessageBytes, inflates, partials);
  const messages: string[] = [];
  for (const piece of pieces) {
    for (let at = 0; ; ) {
      const message = reader.push(piece, at, piece.length);
      if (message === undefined) break;
      messages.push(message.toString("latin1"));
      if (message.length > maxMessageBytes) throw new Error(`a message of ${message.length} bytes came`);
      at += reader.used;
      if (at > piece.length) throw new Error("more bytes were used than there are");
    }
    if (partials.byteCount > maxMessageBytes) throw new Error(`${partials.byteCount} bytes are held`);
    if (reader.failure !== undefined) break;
    piece.fill(0xee);
  }
  const reading = { messages, failure: reader.failure?.message, isMidMessage: reader.isMidMessage };
  reader.drop();
  if (partials.byteCount !== 0) throw new Error(`${partials.byteCount} bytes are held after the end`);
  return reading;
}

const target: FuzzTarget = {
  summary: "gRPC messages of one stream: the same however they are cut, at most the allowed bytes held",
  sample(random) {
    const gzip = random.oneIn(2);
    const messages = random.list(6, () => {
      const plain = random.oneIn(8) ? Buffer.alloc(random.below(60_000), "z") : random.bytes(random.below(300));
      const compressed = gzip && random.oneIn(2);
      const body = compressed ? gzipSync(plain) : plain.subarray(0, 3000);
      const head = Buffer.alloc(5);
      head[0] = compressed ? 1 : 0;
      head.writeUInt32BE(body.length, 1);
      return Buffer.concat([head, body]);
    });
    return Buffer.concat([Buffer.of(gzip ? 1 : 0), ...messages]);
  },
  check(input) {
    const gzip = (input[0] ?? 0) % 2 === 1;
    const bytes = Buffer.from(input.subarray(1));
    const whole = read([Buffer.from(bytes)], gzip);
    const cut = read(cutBytes(bytes, FuzzRandom.of(input)), gzip);
    if (JSON.stringify(cut) !== JSON.stringify(whole)) {
      throw new Error(`in pieces: ${JSON.stringify(cut).slice(0, 500)}, whole: ${JSON.stringify(whole).slice(0, 500)}`);
    }
    if (whole.failure === undefined && gzip === false) {
      const framed = whole.messages.reduce((sum, message) => sum + message.length + 5, 0);
      if (framed > bytes.length) throw new Error("more messages than bytes");
      if (!whole.isMidMessage && framed !== bytes.length) throw new Error("bytes were passed over");
    }
  },
};
export default target;
