import { GrpcFrameReader } from "../../../packages/core/src/grpc-frame/index.ts";
import { FuzzRandom } from "../fuzz-random.ts";
import { cutBytes, type FuzzTarget } from "../fuzz-target.ts";

const maxMessageBytes = 500;

/** Reads a whole body in the plainest way. */
function plain(body: Buffer): { messages: string[]; noGrpc: boolean } {
  const messages: string[] = [];
  for (let at = 0; at < body.length; ) {
    if (body[at]! > 1) return { messages, noGrpc: true };
    if (at + 5 > body.length) break;
    const length = body.readUInt32BE(at + 1);
    const end = at + 5 + length;
    if (end > body.length) break;
    if (body[at] === 0 && length <= maxMessageBytes) messages.push(body.toString("latin1", at + 5, end));
    at = end;
  }
  return { messages, noGrpc: false };
}

const target: FuzzTarget = {
  summary: "gRPC bodies behind a proxy: the messages that a plain reader finds, however they are cut",
  sample: (random) =>
    Buffer.concat(
      random.list(8, () => {
        const body = random.bytes(random.below(random.oneIn(6) ? 900 : 60));
        const head = Buffer.alloc(5);
        head[0] = random.oneIn(8) ? 1 : 0;
        head.writeUInt32BE(body.length, 1);
        return Buffer.concat([head, body]);
      }),
    ),
  check(input) {
    const messages: string[] = [];
    const reader = new GrpcFrameReader((message) => {
      messages.push(Buffer.from(message).toString("latin1"));
    }, maxMessageBytes);
    for (const piece of cutBytes(input, FuzzRandom.of(input))) reader.push(piece);
    const wanted = plain(Buffer.from(input));
    if (reader.noGrpc !== wanted.noGrpc) throw new Error(`noGrpc is ${reader.noGrpc}`);
    if (messages.join("|") !== wanted.messages.join("|")) {
      throw new Error(`${messages.length} messages, a plain reader finds ${wanted.messages.length}`);
    }
  },
};
export default target;
