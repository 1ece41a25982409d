import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { PageBuffers } from "./page-buffers.ts";
import { PageResponse } from "./page-response.ts";
import { PollFailure } from "./poll-failure.ts";

const maxBodyBytes = 100_000;
const newResponse = (): PageResponse => new PageResponse(maxBodyBytes, new PageBuffers());

function textOf(outcome: Uint8Array | PollFailure | undefined): string {
  if (outcome === undefined) return "more to come";
  return outcome instanceof PollFailure
    ? `${outcome.kind}: ${outcome.reason}`
    : Buffer.from(outcome).toString("latin1");
}

/** Feeds a response piece by piece through one buffer that is overwritten each time, as a connection does. */
function feed(response: PageResponse, text: string, cuts: readonly number[] = [], closes = false): string {
  const all = Buffer.from(text, "latin1");
  const places = [...new Set(cuts.map((cut) => cut % (all.length + 1)))].toSorted((a, b) => a - b);
  const shared = Buffer.alloc(all.length + 100, "\r\n\r\n");
  response.begin();
  let from = 0;
  for (const to of [...places, all.length]) {
    if (to === from) continue;
    all.copy(shared, 0, from, to);
    const outcome = response.feed(shared, to - from);
    if (outcome !== undefined) return textOf(outcome);
    from = to;
  }
  return closes ? textOf(response.finish()) : "more to come";
}

const head = (...lines: readonly string[]): string => ["HTTP/1.1 200 OK", ...lines, "", ""].join("\r\n");
const chunked = (...chunks: readonly string[]): string =>
  `${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("")}0\r\n\r\n`;

test("a page is the same in whatever pieces and with whatever framing it comes", () => {
  const response = newResponse();
  const page = fc.string({ unit: "binary-ascii", maxLength: 300 });
  fc.assert(
    fc.property(
      page,
      fc.constantFrom("length", "chunked", "close"),
      fc.array(fc.nat(), { maxLength: 6 }),
      fc.array(fc.nat({ max: 300 }), { maxLength: 4 }),
      fc.boolean(),
      (text, framing, cuts, chunkCuts, packed) => {
        const body = packed ? gzipSync(Buffer.from(text, "latin1")).toString("latin1") : text;
        const encoding = packed ? ["Content-Encoding: gzip"] : [];
        const ends = [...new Set(chunkCuts.map((at) => at % (body.length + 1)))].toSorted((a, b) => a - b);
        const chunks = [...ends, body.length]
          .map((end, i) => body.slice(ends[i - 1] ?? 0, end))
          .filter((c) => c !== "");
        const answer =
          framing === "length"
            ? head(`content-length: ${body.length}`, ...encoding) + body
            : framing === "chunked"
              ? head("Transfer-Encoding: Chunked", ...encoding) + chunked(...chunks)
              : head(...encoding) + body;
        expect(feed(response, answer, cuts, framing === "close")).toBe(text);
        expect(response.keepsConnection).toBe(framing !== "close");
      },
    ),
    { numRuns: 500 },
  );
});

test.each([
  ["an interim response before it", `HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n${head("content-length: 2")}up`],
  ["trailers and chunk extensions", `${head("transfer-encoding: chunked")}2;a=b\r\nup\r\n0 \r\nx: y\r\nz: \r\n\r\n`],
  ["a length given twice alike", `${head("content-length: 2", "content-length: 2")}up`],
  ["no reason phrase", "HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nup"],
])("a page with %s is read and the connection kept", (_what, answer) => {
  const response = newResponse();
  expect(feed(response, answer)).toBe("up");
  expect(response.keepsConnection).toBe(true);
  expect(feed(response, answer, [5, 17, 30, 31, 32])).toBe("up");
});

test.each([
  ["the server says so", head("content-length: 2", "connection: foo, Close")],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n"],
])("the connection is not kept: %s", (_why, answer) => {
  const response = newResponse();
  expect(feed(response, `${answer}up`)).toBe("up");
  expect(response.keepsConnection).toBe(false);
});

test("HTTP/1.0 keeps the connection where it says so, and bytes behind the page end it", () => {
  const response = newResponse();
  const answer = "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nup";
  expect(feed(response, answer)).toBe("up");
  expect(response.keepsConnection).toBe(true);
  expect(feed(response, `${answer}x`)).toBe("up");
  expect(response.keepsConnection).toBe(false);
  expect(feed(response, `${head("transfer-encoding: chunked")}${chunked("up")}x`)).toBe("up");
  expect(response.keepsConnection).toBe(false);
});

test.each([
  ["HTTP/2 200 OK\r\n\r\n", "bad-answer: the answer is not HTTP/1.1"],
  ["hello\r\n\r\n", "bad-answer: the answer is not HTTP/1.1"],
  ["HTTP/1.1 101 Switching\r\n\r\n", "bad-answer: the server switched to another protocol"],
  ["HTTP/1.1 404 Not Found\r\nlocation: /x\r\n\r\n", "bad-answer: HTTP status 404"],
  [head("content-length: 2", "content-length: 3"), "bad-answer: the answer has two content lengths"],
  [head("content-length: +2"), "bad-answer: the content length is not a number"],
  [head("content-length: 100001"), "bad-answer: the page is larger than the limit of 100000 bytes"],
  [
    head("content-length: 2", "transfer-encoding: chunked"),
    "bad-answer: the answer has a content length and a transfer coding",
  ],
  [head("transfer-encoding: gzip, chunked"), 'bad-answer: transfer coding "gzip, chunked" is not supported'],
  [head("no colon"), "bad-answer: the answer has a malformed header"],
  [head("content-length : 2"), "bad-answer: the answer has a malformed header"],
  [head("content-encoding: br"), 'bad-answer: content encoding "br" is not supported'],
  [`HTTP/1.1 200 OK\r\nx: ${"y".repeat(20_000)}`, "bad-answer: the head of the answer is larger than 16384 bytes"],
  [`${head("transfer-encoding: chunked")}xyz`, "bad-answer: a chunk has no size"],
  [`${head("transfer-encoding: chunked")}2x\r\n`, "bad-answer: a chunk size is not hexadecimal"],
  [`${head("transfer-encoding: chunked")}123456789\r\n`, "bad-answer: a chunk size is too large"],
  [`${head("transfer-encoding: chunked")}2\r\nups\r\n`, "bad-answer: a chunk is longer than its size"],
  [`${head("transfer-encoding: chunked")}2\rup`, "bad-answer: a chunk size does not end its line"],
  [`${head("transfer-encoding: chunked")}2\r\nup\r0`, "bad-answer: a chunk does not end its line"],
  [`${head("transfer-encoding: chunked")}186a1\r\n`, "bad-answer: the page is larger than the limit of 100000 bytes"],
  [`${head("transfer-encoding: chunked")}2;${"x".repeat(2000)}`, "bad-answer: a chunk extension is too long"],
  [`${head("transfer-encoding: chunked")}0\r\n${"x: y\r\n".repeat(5000)}`, "bad-answer: the trailers are too long"],
  [`${head()}${"x".repeat(100_001)}`, "bad-answer: the page is larger than the limit of 100000 bytes"],
])("%j is refused: %s", (answer, reason) => {
  expect(feed(newResponse(), answer)).toBe(reason);
  expect(feed(newResponse(), answer, [3, 20, 40])).toBe(reason);
});

test("a connection that ends early leaves no page", () => {
  expect(feed(newResponse(), "HTTP/1.1 2", [], true)).toBe("unreachable: the connection was closed before an answer");
  expect(feed(newResponse(), `${head("content-length: 3")}up`, [], true)).toMatch(/^bad-answer: the answer broke off/);
  expect(feed(newResponse(), `${head("transfer-encoding: chunked")}2\r\nup\r\n`, [], true)).toMatch(/broke off/);
});

test("bytes without a request are refused", () => {
  const response = newResponse();
  expect(feed(response, `${head("content-length: 2")}up`)).toBe("up");
  expect(textOf(response.feed(Buffer.from("x"), 1))).toBe("bad-answer: the server sends bytes that nobody asked for");
});

test("a stated length alone takes no memory, and buffers of pages in pieces are used again", () => {
  const taken: Buffer[] = [];
  const buffers = new (class extends PageBuffers {
    override take(byteCount: number): Buffer {
      const buffer = super.take(byteCount);
      taken.push(buffer);
      return buffer;
    }
  })();
  const response = new PageResponse(100_000_000, buffers);
  expect(feed(response, `${head("content-length: 90000000")}up`)).toBe("more to come");
  expect(taken[0]!.length).toBeLessThan(100_000);
  expect(feed(response, `${head("content-length: 4")}up 1`, [41])).toBe("up 1");
  expect(taken[1]).toBe(taken[0]);
});
