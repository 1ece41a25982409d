import { FrameReader } from "../../../packages/grpc-transport/src/frame-reader.ts";
import { clientPreface } from "../../../packages/grpc-transport/src/http2-protocol.ts";
import { FuzzRandom } from "../fuzz-random.ts";
import { cutBytes, type FuzzTarget } from "../fuzz-target.ts";
import { frameSequence } from "../inputs/http2-frames.ts";

/** What a connection hears, with the DATA bytes of one frame put together. */
function read(pieces: readonly Buffer[]): string {
  const heard: string[] = [];
  let data = "";
  const reader = new FrameReader({
    frame: (type, flags, streamId, bytes, start, end) => {
      heard.push(`${type}/${flags}/${streamId}/${bytes.toString("latin1", start, end)}`);
    },
    dataStart: (flags, streamId, frameBytes) => {
      heard.push(`data ${flags}/${streamId}/${frameBytes}`);
      data = "";
    },
    dataBytes: (bytes, start, end) => {
      if (end <= start) throw new Error("DATA without bytes was handed on");
      data += bytes.toString("latin1", start, end);
    },
    dataEnd: () => heard.push(`bytes ${data}`),
    connectionError: (code, violation, text) => {
      heard.push(`error ${code} ${violation} ${text}`);
      reader.stopped = true;
    },
  });
  for (const piece of pieces) {
    reader.read(piece, piece.length);
    piece.fill(0);
  }
  return heard.join("\n");
}

const target: FuzzTarget = {
  summary: "HTTP/2 frames off a socket: the same frames and errors however the bytes are cut",
  sample: (random) =>
    random.oneIn(30) ? frameSequence(random) : Buffer.concat([clientPreface, frameSequence(random)]),
  check(input) {
    const whole = read([Buffer.from(input)]);
    const cut = read(cutBytes(input, FuzzRandom.of(input)));
    if (whole !== cut) throw new Error(`in pieces:\n${cut}\nwhole:\n${whole}`);
  },
};
export default target;
