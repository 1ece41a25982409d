import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ResponseDecoder } from "./response-decoder.ts";

interface Decoded {
  status: number | undefined;
  headers: string[];
  body: string;
  trailers: (readonly [string, string])[];
  ends: number;
  problem: string | undefined;
}

/** Feeds `text` in pieces cut at `cuts`, each read into the same memory, and closes at the end if asked. */
function decode(
  text: string,
  options: { cuts?: readonly number[]; toHead?: boolean; close?: boolean; maxHeaderBytes?: number } = {},
): Decoded & { decoder: ResponseDecoder } {
  const decoder = new ResponseDecoder(options.maxHeaderBytes ?? 4096);
  decoder.begin(options.toHead ?? false);
  const decoded: Decoded = { status: undefined, headers: [], body: "", trailers: [], ends: 0, problem: undefined };
  const consumer = {
    answerHead: (
      head: { status: number; headers: { names: readonly string[]; values: readonly string[] } },
      complete: boolean,
    ) => {
      decoded.status = head.status;
      decoded.headers = head.headers.names.map((name, i) => `${name}=${head.headers.values[i]}`);
      if (complete) decoded.ends++;
    },
    answerBody: (block: Buffer, start: number, end: number, complete: boolean) => {
      decoded.body += block.toString("latin1", start, end);
      // The block is ours: what is written around the body must hurt nobody.
      block.fill(0);
      if (complete) decoded.ends++;
    },
    answerTrailers: (trailers: readonly (readonly [string, string])[]) => {
      decoded.trailers = [...trailers];
      decoded.ends++;
    },
  };
  const bytes = Buffer.from(text, "latin1");
  const memory = Buffer.alloc(bytes.length + 16);
  const cuts = [...new Set([0, ...(options.cuts ?? []), bytes.length])].sort((a, b) => a - b);
  for (let i = 1; i < cuts.length && decoded.problem === undefined; i++) {
    memory.fill("\r\n\r\n");
    bytes.copy(memory, 0, cuts[i - 1], cuts[i]);
    decoded.problem = decoder.feed(memory, cuts[i]! - cuts[i - 1]!, consumer);
  }
  if (options.close === true && decoded.problem === undefined) decoded.problem = decoder.finish(consumer);
  return { ...decoded, decoder };
}

const ok = "HTTP/1.1 200 OK\r\n";

describe("bodies", () => {
  test("a body of a given length ends with its last byte", () => {
    const decoded = decode(`${ok}Content-Length: 5\r\n\r\nhello`);
    expect(decoded).toMatchObject({ status: 200, body: "hello", ends: 1, problem: undefined });
    expect(decoded.decoder.complete).toBe(true);
    expect(decoded.decoder.reusable).toBe(true);
  });

  test("a chunked body loses its framing and nothing else", () => {
    const decoded = decode(`${ok}Transfer-Encoding: Chunked\r\n\r\n3;a="b"\r\nfoo\r\n00A \r\n0123456789\r\n0\r\n\r\n`);
    expect(decoded).toMatchObject({ body: "foo0123456789", ends: 1, problem: undefined });
    expect(decoded.decoder.reusable).toBe(true);
  });

  test("trailers end a chunked body", () => {
    const decoded = decode(`${ok}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\nX-B:2\r\n\r\n`);
    expect(decoded).toMatchObject({
      body: "x",
      trailers: [
        ["x-sum", "1"],
        ["x-b", "2"],
      ],
      ends: 1,
    });
  });

  test("a body without length lasts until the server closes, and the connection is not used again", () => {
    const decoded = decode(`${ok}\r\nall of it`, { close: true });
    expect(decoded).toMatchObject({ body: "all of it", ends: 1, problem: undefined });
    expect(decoded.decoder.reusable).toBe(false);
  });

  test.each([
    ["the answer to HEAD", `${ok}Content-Length: 5\r\n\r\n`, true],
    ["204", "HTTP/1.1 204 No Content\r\n\r\n", false],
    ["304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false],
    ["length 0", `${ok}Content-Length: 0\r\n\r\n`, false],
  ])("%s has no body", (_name, text, toHead) => {
    expect(decode(text, { toHead })).toMatchObject({ body: "", ends: 1, problem: undefined });
  });

  test("interim responses are skipped", () => {
    const text = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok}Content-Length: 1\r\n\r\nx`;
    expect(decode(text)).toMatchObject({
      status: 200,
      headers: [":status=200", "content-length=1"],
      body: "x",
      ends: 1,
    });
  });
});

describe("headers", () => {
  test("those of the connection and those it lists stay behind", () => {
    const decoded = decode(
      `${ok}Content-Length: 0\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=7, max=3\r\nX-Hop: 1\r\nUpgrade: x\r\nX-A: \t b c \t\r\nX-A: 2\r\n\r\n`,
    );
    expect(decoded.headers).toEqual([":status=200", "content-length=0", "x-a=b c", "x-a=2"]);
    expect(decoded.decoder.keepAliveHintMs).toBe(7000);
  });

  test.each([
    ["Connection: close", "HTTP/1.1", false],
    ["Connection: Keep-Alive", "HTTP/1.0", true],
    ["X: y", "HTTP/1.0", false],
    ["X: y", "HTTP/1.1", true],
  ])("%s over %s leaves the connection usable: %s", (line, version, reusable) => {
    expect(decode(`${version} 200 OK\r\nContent-Length: 0\r\n${line}\r\n\r\n`).decoder.reusable).toBe(reusable);
  });

  test("bytes behind the answer make the connection unusable", () => {
    expect(decode(`${ok}Content-Length: 1\r\n\r\nxHTTP/1.1`).decoder.reusable).toBe(false);
    expect(decode(`${ok}Content-Length: 0\r\n\r\nx`).decoder.reusable).toBe(false);
    expect(decode(`${ok}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nx`).decoder.reusable).toBe(false);
  });
});

describe("answers against the standard end with a problem", () => {
  const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;
  test.each([
    ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", "status line"],
    ["HTTP/2", "HTTP/2 200\r\n\r\n", "status line"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "status line"],
    ["a status above 599", "HTTP/1.1 600 OK\r\n\r\n", "status line"],
    ["line ends without carriage return", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "status line"],
    ["no carriage return at all", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "status line"],
    ["a lone line feed in a value", `${ok}X: a\nY: b\r\n\r\n`, "control characters"],
    ["a lone carriage return in a value", `${ok}X: a\rY: b\r\n\r\n`, "control characters"],
    ["a NUL in a value", `${ok}X: a\0\r\n\r\n`, "control characters"],
    ["a folded line", `${ok}X: a\r\n b\r\n\r\n`, "colon"],
    ["a blank before the colon", `${ok}X : a\r\n\r\n`, "token"],
    ["an empty name", `${ok}: a\r\n\r\n`, "token"],
    ["two lengths", `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, "two different content lengths"],
    ["a signed length", `${ok}Content-Length: +1\r\n\r\n`, "not a number"],
    ["a list of lengths", `${ok}Content-Length: 1, 1\r\n\r\n`, "not a number"],
    ["an enormous length", `${ok}Content-Length: 9999999999999999\r\n\r\n`, "not a number"],
    ["length and coding", `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, "both"],
    ["an unknown coding", `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`, "not chunked"],
    ["chunked twice", `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`, "not chunked"],
    ["a coding over HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"],
    ["a switch of protocols", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "protocol"],
    ["no chunk size", `${chunked}\r\n`, "no size"],
    ["a negative chunk size", `${chunked}-1\r\n`, "no size"],
    ["a chunk size with a prefix", `${chunked}0x1\r\n`, "not hexadecimal"],
    ["an enormous chunk size", `${chunked}1234567890123\r\n`, "too large"],
    ["a chunk longer than its size", `${chunked}1\r\nab\r\n`, "longer than its size"],
    ["a chunk size line with a lone line feed", `${chunked}1\nab`, "not hexadecimal"],
    ["a chunk extension with a lone line feed", `${chunked}1;a\nab`, "carriage return"],
    ["a chunk end without line feed", `${chunked}1\r\na\rx`, "line end"],
    ["a bad trailer", `${chunked}0\r\nno colon\r\n\r\n`, "colon"],
    ["a trailer with a lone line feed", `${chunked}0\r\nA: b\n\r\n`, "carriage return"],
  ])("%s", (_name, text, problem) => {
    const whole = decode(text);
    expect(whole.problem).toContain(problem);
    expect(whole.ends).toBe(0);
    const byteByByte = decode(text, { cuts: Array.from(text, (_, i) => i) });
    expect(byteByByte.problem).toBe(whole.problem);
  });

  test("another protocol is known by its first bytes, however many follow", () => {
    for (const text of ["\0\0\x12\x04\0\0\0\0\0", "\x15\x03\x01\0\x02\x02\x28", "HTTP/2", "h", "\0".repeat(300)]) {
      expect(decode(text, { maxHeaderBytes: 256 }).problem, JSON.stringify(text)).toContain("status line");
    }
    for (const text of ["H", "HTTP/", "HTTP/1.", "HTTP/1.1 2"]) expect(decode(text).problem, text).toBeUndefined();
    expect(decode(`${"a".repeat(300)}\r\n\r\n`, { maxHeaderBytes: 256 }).problem).toContain("status line");
  });

  test.each([
    ["headers", `${ok}X: ${"a".repeat(300)}\r\n\r\n`, "headers exceed 256"],
    ["headers that never end", `${ok}X: ${"a".repeat(300)}`, "headers exceed 256"],
    ["trailers", `${chunked}0\r\nX: ${"a".repeat(300)}\r\n\r\n`, "trailers exceed 256"],
  ])("%s beyond the limit", (_name, text, problem) => {
    expect(decode(text, { maxHeaderBytes: 256 }).problem).toContain(problem);
    expect(decode(text, { maxHeaderBytes: 256, cuts: Array.from(text, (_, i) => i) }).problem).toContain(problem);
  });

  test("a chunk extension beyond its limit", () => {
    expect(decode(`${chunked}1;${"a".repeat(2000)}\r\n`).problem).toContain("extension is too long");
  });

  test.each([
    ["within the headers", `${ok}Content-`, "before it answered"],
    ["within a body of given length", `${ok}Content-Length: 5\r\n\r\nhell`, "within the body"],
    ["within a chunk", `${chunked}5\r\nhell`, "within the body"],
    ["before the last chunk", `${chunked}5\r\nhello\r\n`, "within the body"],
    ["within the trailers", `${chunked}0\r\nX: `, "within the body"],
  ])("a connection that closes %s", (_name, text, problem) => {
    expect(decode(text, { close: true }).problem).toContain(problem);
  });
});

test("how the bytes are cut into reads changes nothing", () => {
  const byte = fc.string({ unit: fc.constantFrom("a", "\r", "\n", "0", "\0", "\xff", " "), maxLength: 40 });
  const chunkedText = fc
    .tuple(
      fc.array(byte.filter((text) => text !== "")),
      fc.array(fc.constantFrom("X-A: 1", "X-B: 2"), { maxLength: 2 }),
    )
    .map(([chunks, trailers]) => ({
      text: `${ok}Transfer-Encoding: chunked\r\n\r\n${chunks.map((c) => `${c.length.toString(16)}\r\n${c}\r\n`).join("")}0\r\n${trailers.map((t) => `${t}\r\n`).join("")}\r\n`,
      body: chunks.join(""),
    }));
  const lengthText = byte.map((body) => ({ text: `${ok}Content-Length: ${body.length}\r\n\r\n${body}`, body }));
  fc.assert(
    fc.property(fc.oneof(chunkedText, lengthText), fc.array(fc.nat(400), { maxLength: 30 }), ({ text, body }, cuts) => {
      const decoded = decode(text, { cuts: cuts.filter((cut) => cut < text.length) });
      expect(decoded).toMatchObject({ body, ends: 1, problem: undefined });
      expect(decoded.decoder.reusable).toBe(true);
      const { decoder: _a, ...pieces } = decoded;
      const { decoder: _b, ...whole } = decode(text);
      expect(pieces).toEqual(whole);
    }),
  );
});

test("arbitrary bytes never throw and end at most once", () => {
  const fragment = fc.constantFrom(
    ok,
    "HTTP/1.1 100 C\r\n\r\n",
    "\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 3\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "X: y\r\n",
    "a",
    "\n",
    "\0",
  );
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 20 }), fc.array(fc.nat(200), { maxLength: 20 }), (parts, cuts) => {
      const text = parts.join("");
      const decoded = decode(text, { cuts: cuts.filter((cut) => cut < text.length), close: true });
      expect(decoded.ends).toBe(decoded.problem === undefined ? 1 : decoded.ends);
      expect(decoded.ends).toBeLessThanOrEqual(1);
    }),
  );
});
