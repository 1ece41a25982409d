import { ResponseDecoder } from "../../../packages/http-proxy/src/response-decoder.ts";
import { FuzzRandom } from "../fuzz-random.ts";
import { cutBytes, type FuzzTarget } from "../fuzz-target.ts";
import { textOf } from "../inputs/texts.ts";

const maxHeaderBytes = 400;

/** Reads one response; `toHead` says that it answers a HEAD. */
function read(pieces: readonly Buffer[], toHead: boolean, closes: boolean): string {
  const decoder = new ResponseDecoder(maxHeaderBytes);
  decoder.begin(toHead);
  let status = 0;
  let heads = 0;
  let ends = 0;
  let body = "";
  let headers = "";
  let trailers = "";
  const consumer = {
    answerHead: (
      head: { readonly status: number; readonly headers: { names: readonly string[]; values: readonly string[] } },
      complete: boolean,
    ) => {
      heads++;
      ({ status } = head);
      headers = head.headers.names.map((name, i) => `${name}=${head.headers.values[i]}`).join("|");
      if (complete) ends++;
    },
    answerBody: (block: Buffer, start: number, end: number, complete: boolean) => {
      if (heads !== 1 || ends > 0) throw new Error("a body before the head or after the end");
      body += block.toString("latin1", start, end);
      block.fill(0);
      if (complete) ends++;
    },
    answerTrailers: (fields: readonly (readonly [string, string])[]) => {
      trailers = fields.map(([name, value]) => `${name}=${value}`).join("|");
      ends++;
    },
  };
  let problem: string | undefined;
  for (const piece of pieces) {
    problem = decoder.feed(piece, piece.length, consumer);
    piece.fill(0x0a);
    if (problem !== undefined) break;
  }
  if (problem === undefined && closes) problem = decoder.finish(consumer);
  if (ends > 1 || heads > 1) throw new Error(`${heads} heads, ${ends} ends`);
  if (problem === undefined && (ends === 1) !== decoder.complete) throw new Error("the end was not told");
  // What a cut response had brought before its fault may differ.
  if (problem !== undefined) return `problem ${problem}`;
  return JSON.stringify([status, headers, body, trailers, ends, decoder.reusable, decoder.keepAliveHintMs]);
}

const heads = [
  "HTTP/1.1 200 OK\r\n",
  "HTTP/1.0 200 OK\r\n",
  "HTTP/1.1 204 No Content\r\n",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
  "HTTP/1.1 101 Switching Protocols\r\n",
];
const fields = [
  "Content-Length: 5\r\n",
  "Content-Length: 0\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: close\r\n",
  "Connection: keep-alive, x-a\r\n",
  "Keep-Alive: timeout=5\r\n",
  "X-A: b\r\n",
  `X-Long: ${"v".repeat(150)}\r\n`,
  "Set-Cookie: a\r\n",
];
const bodies = [
  "hello",
  "5\r\nhello\r\n",
  "0\r\n\r\n",
  "0\r\nX-Sum: 1\r\n\r\n",
  "1;a=b\r\nx\r\n",
  "00A \r\n0123456789\r\n",
];

const target: FuzzTarget = {
  summary: "HTTP/1 responses: the same head, body and end, or the same fault, however they are cut",
  sample: (random) =>
    Buffer.concat([
      Buffer.of(random.below(4)),
      Buffer.from(random.pick(heads)),
      textOf(random, fields, 4),
      Buffer.from("\r\n"),
      textOf(random, bodies, 5),
      Buffer.from(random.oneIn(3) ? "0\r\n\r\n" : ""),
    ]),
  check(input) {
    const mode = input[0] ?? 0;
    const bytes = Buffer.from(input.subarray(1));
    const whole = read([Buffer.from(bytes)], (mode & 1) !== 0, (mode & 2) !== 0);
    const cut = read(cutBytes(bytes, FuzzRandom.of(input)), (mode & 1) !== 0, (mode & 2) !== 0);
    if (whole !== cut) throw new Error(`whole: ${whole}\nin pieces: ${cut}`);
  },
};
export default target;
