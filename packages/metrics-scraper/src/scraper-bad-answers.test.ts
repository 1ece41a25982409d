import { gzipSync } from "node:zlib";
import { FakeClock } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { type Answer, always, answerText, until } from "../test/page-server.ts";
import { cleanUpAfterEach, deadPort, scrape, serve } from "../test/running.ts";
import type { SourceOptions } from "../test/scrape-fixture.ts";

cleanUpAfterEach();

test.each<[string, Answer, RegExp, SourceOptions?]>([
  ["an error status", always("", [], "500 Internal Server Error"), /^HTTP status 500$/],
  ["a status that is not exactly 200", always("up 1\n", [], "206 Partial Content"), /^HTTP status 206$/],
  [
    "a redirect",
    always("", ["location: http://127.0.0.1:1/elsewhere"], "302 Found"),
    /^HTTP status 302 to http:\/\/127\.0\.0\.1:1\/elsewhere; redirects are not followed$/,
  ],
  ["a page that states to be too large", always("x".repeat(2000)), /larger than the limit of 1000 bytes/],
  [
    "a page without end",
    (socket) => {
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
      const timer = setInterval(() => socket.write(`64\r\n${"x".repeat(100)}\r\n`), 1);
      socket.on("close", () => clearInterval(timer));
    },
    /larger than the limit of 1000 bytes/,
  ],
  [
    "an encoding nobody asked for",
    always("up 1\n", ["content-encoding: br"]),
    /content encoding "br" is not supported/,
  ],
  ["a page that is not the gzip it claims to be", always("up 1\n", ["content-encoding: gzip"]), /not valid gzip/],
  ["something that is not HTTP", (socket) => void socket.write("hello, who is there?\r\n\r\n"), /HTTP|Parse Error/i],
  [
    "a head without end",
    (socket) => {
      const timer = setInterval(() => socket.write(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(9000)}`), 1);
      socket.on("close", () => clearInterval(timer));
    },
    /head of the answer is larger than/,
  ],
  [
    "an answer that breaks off",
    (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nup 1\n", () => socket.destroy()),
    /the answer broke off/,
  ],
  [
    "an answer that comes one byte at a time",
    (socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n");
      const timer = setInterval(() => socket.write("x"), 1);
      socket.on("close", () => clearInterval(timer));
    },
    /the page was not complete after 200 ms/,
    { timeoutMs: 200 },
  ],
])("%s is a failure that is told once, and the endpoint is not down", async (_what, answer, reason, options = {}) => {
  const server = await serve(answer);
  const clock = new FakeClock();
  const fixture = scrape([{ maxBodyBytes: 1000, ...options }], { clock, timers: clock.timers });
  const endpoint = fixture.add("a", server.port);
  await until("four failures", () => {
    clock.advance(5);
    return fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type") >= 4;
  });
  expect(fixture.pages).toEqual([]);
  expect(endpoint.reachability).toBe("unknown");
  expect(fixture.log).toHaveLength(1);
  expect(fixture.log[0]!.fields["reason"]).toMatch(reason);
  await until("refused connections are closed", () => server.open.size <= 1);
});

test("a garbage page updates nothing and leaves an endpoint that answers up", async () => {
  const server = await serve(always("up 1\n"));
  const check = (body: Uint8Array): string | undefined => (body[0] === 0x3c ? "looks like\u0007HTML" : undefined);
  const fixture = scrape([{ check }]);
  const endpoint = fixture.add("a", server.port);
  await until("up", () => endpoint.reachability === "up");
  server.answer = always("<html>");
  await until("the complaint", () => fixture.lines("warn").length === 1);
  const pages = fixture.pages.length;
  await until("more polls", () => fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type") >= 5);
  expect(fixture.pages).toHaveLength(pages);
  expect(fixture.pages.every(({ text }) => text === "up 1\n")).toBe(true);
  expect(endpoint.reachability).toBe("up");
  expect(fixture.lines("warn")[0]!.fields["reason"]).toBe("looks like HTML");
  expect(server.connections).toBe(1);
});

test("an endpoint that was down and answers with an error is not down any more, and not up either", async () => {
  const port = await deadPort();
  const fixture = scrape();
  const endpoint = fixture.add("a", port);
  await until("down", () => endpoint.reachability === "down");
  await serve(always("loading", [], "503 Service Unavailable"), port);
  await until("unknown", () => endpoint.reachability === "unknown");
});

test("one or two failed polls are not told", async () => {
  let requests = 0;
  const server = await serve((socket, request) => {
    requests++;
    if (requests % 3 === 0) always("up 1\n")(socket, request);
    else always("", [], "500 Internal Server Error")(socket, request);
  });
  const fixture = scrape([{ intervalMs: 2 }]);
  const endpoint = fixture.add("a", server.port);
  await until("three pages", () => fixture.pages.length >= 3);
  expect(fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type")).toBeGreaterThanOrEqual(6);
  expect(fixture.log).toEqual([]);
  expect(endpoint.reachability).toBe("up");
});

test("packed pages are unpacked, and asked for only when told to", async () => {
  const server = await serve(always(gzipSync("up 1\n"), ["content-encoding: gzip"]));
  const fixture = scrape([{}], { askForGzip: true });
  fixture.add("a", server.port);
  await until("a page", () => fixture.pages.length > 0);
  expect(fixture.pages[0]!.text).toBe("up 1\n");
  expect(server.requests[0]).toContain("accept-encoding: gzip");
});

test("a small page that unpacks to a huge one is refused", async () => {
  const server = await serve(always(gzipSync(Buffer.alloc(20_000_000)), ["content-encoding: gzip"]));
  const fixture = scrape([{ maxBodyBytes: 100_000 }]);
  fixture.add("a", server.port);
  await until("the complaint", () => fixture.lines("warn").length === 1);
  expect(fixture.lines("warn")[0]!.fields["reason"]).toBe("the unpacked page is larger than the limit of 100000 bytes");
  expect(fixture.pages).toEqual([]);
});

test("bytes that nobody asked for end their connection and harm nothing", async () => {
  const page = answerText("up 1\n");
  const server = await serve((socket) => void socket.write(Buffer.concat([page, page, page])));
  const fixture = scrape();
  const endpoint = fixture.add("a", server.port);
  await until("five pages", () => fixture.pages.length >= 5);
  expect(fixture.pages.every(({ text }) => text === "up 1\n")).toBe(true);
  expect(fixture.pages.length).toBeLessThanOrEqual(server.requests.length);
  expect(endpoint.reachability).toBe("up");
});
