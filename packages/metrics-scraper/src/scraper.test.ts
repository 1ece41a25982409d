import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { type Clock, noMetrics, silentLogger, systemClock } from "@pointsman/core";
import { afterEach, expect, test } from "vitest";
import { type Answer, always, hang, PageServer, until } from "../test/page-server.ts";
import { ownPage, ScrapeFixture, type SourceOptions } from "../test/scrape-fixture.ts";
import { createScraper } from "./index.ts";

const running: { close(): Promise<void> }[] = [];

async function serve(answer: Answer, port = 0): Promise<PageServer> {
  const server = await PageServer.listen(answer, { port });
  running.push(server);
  return server;
}

function scrape(...options: ConstructorParameters<typeof ScrapeFixture>): ScrapeFixture {
  const fixture = new ScrapeFixture(...options);
  running.unshift({ close: () => fixture.scraper.stop() });
  fixture.scraper.start();
  return fixture;
}

afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

/** A port where nobody listens. */
async function deadPort(): Promise<number> {
  const server = await PageServer.listen(hang);
  await server.close();
  return server.port;
}

test("pages reach the extractors with their endpoint, over one connection for all polls", async () => {
  const server = await serve(always("up 1\n"));
  const fixture = scrape();
  const endpoint = fixture.add("a", server.port);
  expect(endpoint.reachability).toBe("unknown");
  await until("twenty pages", () => fixture.pages.length >= 20);
  expect(server.connections).toBe(1);
  expect(fixture.pages.every((page) => page.text === "up 1\n" && page.endpoint === endpoint)).toBe(true);
  expect(endpoint.reachability).toBe("up");
  expect(server.requests[0]).toMatch(/^GET \/metrics HTTP\/1.1\r\nhost: 127.0.0.1:\d+\r\n/);
  expect(server.requests[0]).toContain("accept-encoding: identity");
  expect(fixture.scraper.status("default/a")).toMatchObject([
    { source: "source", url: `http://127.0.0.1:${server.port}/metrics`, state: "working", failuresInARow: 0 },
  ]);
  expect(fixture.log).toEqual([]);
});

test("an endpoint is polled at once when it appears, whatever the interval", async () => {
  const server = await serve(always("up 1\n"));
  const fixture = scrape([{ intervalMs: 3_600_000 }]);
  for (const name of ["a", "b", "c"]) fixture.add(name, server.port);
  await until("a page of each", () => fixture.pages.length === 3);
});

test("endpoints known before the start are polled once each, whether or not the feed tells of them", async () => {
  const server = await serve(always("up 1\n"));
  const fixture = new ScrapeFixture([{ intervalMs: 3_600_000 }]);
  running.unshift({ close: () => fixture.scraper.stop() });
  fixture.add("a", server.port);
  fixture.scraper.start();
  await until("a page", () => fixture.pages.length > 0);
  await sleep(30);
  expect(server.requests).toHaveLength(1);
  expect(() => fixture.scraper.start()).toThrow("has been started before");
});

test("where nobody listens the endpoint is down after three tries, with one log line; a restart is noticed", async () => {
  const port = await deadPort();
  const fixture = scrape();
  const endpoint = fixture.add("a", port);
  await until("down", () => endpoint.reachability === "down");
  expect(fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type")).toBe(3);
  await until("more tries", () => fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type") >= 5);
  expect(fixture.log).toHaveLength(1);
  expect(fixture.log[0]).toEqual({
    level: "warn",
    message: "the endpoint's page cannot be read; its values get stale until it can",
    fields: {
      endpoint: "default/a",
      source: "source",
      look: `curl -sv http://127.0.0.1:${port}/metrics`,
      reason: `connect ECONNREFUSED 127.0.0.1:${port}`,
      failuresInARow: 3,
    },
  });
  expect(fixture.scraper.status("default/a")).toMatchObject([{ state: "failing", pageAgeMs: undefined }]);

  await serve(always("up 1\n"), port);
  await until("up", () => endpoint.reachability === "up");
  expect(fixture.lines("info").map(({ message }) => message)).toEqual(["the endpoint's page is read again"]);
  expect(fixture.scraper.status("default/a")).toMatchObject([{ state: "working", lastFailure: undefined }]);
});

test("a server that dies is down after three tries and up again when it is back on the same port", async () => {
  const server = await serve(always("up 1\n"));
  const fixture = scrape();
  const endpoint = fixture.add("a", server.port);
  await until("up", () => endpoint.reachability === "up");
  await server.close();
  await until("down", () => endpoint.reachability === "down");
  await serve(always("up 2\n"), server.port);
  await until("up again", () => endpoint.reachability === "up");
  expect(fixture.pages.at(-1)!.text).toBe("up 2\n");
  expect(fixture.log.map(({ level }) => level)).toEqual(["warn", "info"]);
});

test("a server that takes connections and never answers is down after three timeouts, one poll at a time", async () => {
  const server = await serve(hang);
  const fixture = scrape([{ timeoutMs: 30 }]);
  const endpoint = fixture.add("a", server.port);
  let mostOpen = 0;
  await until("down", () => {
    mostOpen = Math.max(mostOpen, server.open.size);
    return endpoint.reachability === "down";
  });
  expect(mostOpen).toBe(1);
  expect(fixture.lines("warn")[0]!.fields["reason"]).toBe("no answer within 30 ms");
  await until("the connections of failed polls are closed", () => server.open.size === 0);
});

test("a slow server is polled again only after it has answered, and missed polls are not made up for", async () => {
  let waiting = 0;
  let mostWaiting = 0;
  const server = await serve((socket, request) => {
    waiting++;
    mostWaiting = Math.max(mostWaiting, waiting);
    setTimeout(() => {
      waiting--;
      always("up 1\n")(socket, request);
    }, 45);
  });
  const fixture = scrape([{ intervalMs: 10 }]);
  fixture.add("a", server.port);
  await until("five pages", () => fixture.pages.length >= 5);
  expect(mostWaiting).toBe(1);
  expect(server.requests.length).toBeLessThanOrEqual(fixture.pages.length + 1);
});

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
    /Headers Overflow/i,
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
    /the page was not complete after 40 ms/,
    { timeoutMs: 40 },
  ],
])("%s is a failure that is told once, and the endpoint is not down", async (_what, answer, reason, options = {}) => {
  const server = await serve(answer);
  const fixture = scrape([{ maxBodyBytes: 1000, ...options }]);
  const endpoint = fixture.add("a", server.port);
  await until("four failures", () => fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type") >= 4);
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

test("a server that closes after each answer is polled over new connections", async () => {
  const server = await serve((socket, request) => {
    always("up 1\n", ["connection: close"])(socket, request);
    socket.end();
  });
  const fixture = scrape();
  const endpoint = fixture.add("a", server.port);
  await until("five pages", () => fixture.pages.length >= 5);
  expect(server.connections).toBeGreaterThanOrEqual(5);
  expect(fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type")).toBe(0);
  expect(endpoint.reachability).toBe("up");
});

test("a removed endpoint's connection is closed, also in the middle of a poll, and its page is not extracted", async () => {
  let answerLate = (): void => {};
  const server = await serve((socket, request) => {
    answerLate = () => always("up 1\n")(socket, request);
  });
  const fixture = scrape();
  fixture.add("a", server.port);
  await until("a request", () => server.requests.length === 1);
  fixture.store.remove("default/a");
  await until("the connection is closed", () => server.open.size === 0);
  answerLate();
  await sleep(20);
  expect(fixture.pages).toEqual([]);
  expect(server.connections).toBe(1);
  expect(fixture.scraper.status("default/a")).toBeUndefined();
});

test("a removed endpoint's idle connection is closed", async () => {
  const server = await serve(always("up 1\n"));
  const fixture = scrape([{ intervalMs: 3_600_000 }]);
  fixture.add("a", server.port);
  await until("a page", () => fixture.pages.length === 1);
  expect(server.open.size).toBe(1);
  fixture.store.remove("default/a");
  await until("the connection is closed", () => server.open.size === 0);
});

test("an endpoint that is removed by an extractor is polled no more", async () => {
  const server = await serve(always("up 1\n"));
  const fixture: ScrapeFixture = scrape([
    {
      extractors: [
        () => {
          fixture.store.remove("default/a");
          return undefined;
        },
      ],
    },
  ]);
  const endpoint = fixture.add("a", server.port);
  await until("the removal", () => fixture.store.get("default/a") === undefined);
  await until("the connection is closed", () => server.open.size === 0);
  expect(server.requests).toHaveLength(1);
  expect(endpoint.reachability).toBe("unknown");
});

test("stop ends polls under way, closes every connection and leaves nothing running", async () => {
  const [answering, hanging] = await Promise.all([serve(always("up 1\n")), serve(hang)]);
  const fixture = scrape();
  fixture.add("a", answering.port);
  fixture.add("b", hanging.port);
  await until("both are polled", () => fixture.pages.length > 0 && hanging.requests.length === 1);
  await fixture.scraper.stop();
  const pages = fixture.pages.length;
  await until("all connections are closed", () => answering.open.size + hanging.open.size === 0);
  fixture.add("c", answering.port);
  await sleep(30);
  expect(fixture.pages).toHaveLength(pages);
  expect(fixture.lines("warn")).toEqual([]);
  await fixture.scraper.stop();
});

test("an extractor that throws is counted and told once, and the others get the page", async () => {
  const server = await serve(always("up 1\n"));
  let read = 0;
  let broken = true;
  const fixture = scrape([
    {
      extractors: [
        () => {
          if (broken) throw new Error("no such label");
          return undefined;
        },
        () => {
          read++;
          return undefined;
        },
      ],
    },
  ]);
  const endpoint = fixture.add("a", server.port);
  await until("five pages", () => read >= 5);
  expect(
    fixture.count("llm_d_epp_datalayer_extract_errors_total", "source-type", "extractor-type-0"),
  ).toBeGreaterThanOrEqual(5);
  expect(fixture.count("llm_d_epp_datalayer_extract_errors_total", "source-type", "extractor-type-1")).toBe(0);
  expect(fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type")).toBe(0);
  expect(endpoint.reachability).toBe("up");
  expect(fixture.log.map(({ fields }) => [fields["extractor"], fields["reason"]])).toEqual([
    ["extractor-0", "the extractor failed: no such label"],
  ]);
  expect(fixture.scraper.status("default/a")![0]!.extractProblems).toEqual({
    "extractor-0": "the extractor failed: no such label",
  });
  broken = false;
  await until("recovery", () => fixture.lines("info").length === 1);
  expect(fixture.scraper.status("default/a")![0]!.extractProblems).toEqual({});
});

test("what an extractor cannot read is counted for each page and told once, even if its text varies", async () => {
  const server = await serve(always("up 1\n"));
  let calls = 0;
  const fixture = scrape([{ extractors: [() => `line ${++calls} is odd`] }]);
  fixture.add("a", server.port);
  await until("five pages", () => calls >= 5);
  expect(fixture.log.map(({ fields }) => fields["reason"])).toEqual(["line 1 is odd"]);
  expect(
    fixture.count("llm_d_epp_datalayer_extract_errors_total", "source-type", "extractor-type-0"),
  ).toBeGreaterThanOrEqual(5);
});

test("an endpoint that moves is polled at its new address at once and forgets what was known of the old", async () => {
  const server = await serve(always("up 1\n"));
  const fixture = scrape([{ intervalMs: 3_600_000 }]);
  const endpoint = fixture.add("a", server.port);
  await until("a page", () => fixture.pages.length === 1);
  const moved = await serve(always("up 2\n"));
  fixture.add("a", moved.port);
  expect(endpoint.reachability).toBe("unknown");
  await until("the page of the new address", () => fixture.pages.length === 2);
  expect(fixture.pages[1]!.text).toBe("up 2\n");
  await until("the old connection is closed", () => server.open.size === 0);
  expect(endpoint.reachability).toBe("up");
});

test("a change of labels alone does not disturb polling", async () => {
  const server = await serve(always("up 1\n"));
  const fixture = scrape([{ intervalMs: 3_600_000 }]);
  const endpoint = fixture.add("a", server.port);
  await until("a page", () => fixture.pages.length === 1);
  fixture.add("a", server.port, { labels: { role: "decode" } });
  await sleep(20);
  expect(server.requests).toHaveLength(1);
  expect(endpoint.reachability).toBe("up");
});

test("an endpoint that a source does not poll stays unknown until the source gives an address", async () => {
  const server = await serve(always("up 1\n"));
  const fixture = scrape([
    {
      target: ({ metadata }) =>
        metadata.labels["poll"] === "yes"
          ? { scheme: "http", host: metadata.address, port: metadata.port, path: "/" }
          : undefined,
    },
  ]);
  const endpoint = fixture.add("a", server.port);
  await sleep(30);
  expect(server.requests).toEqual([]);
  expect(fixture.scraper.status("default/a")).toMatchObject([{ url: undefined, state: "waiting" }]);
  expect(fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type")).toBe(0);
  fixture.add("a", server.port, { labels: { poll: "yes" } });
  await until("up", () => endpoint.reachability === "up");
});

test.each<[string, NonNullable<SourceOptions["target"]>, RegExp]>([
  [
    "throws",
    () => {
      throw new Error("no node address");
    },
    /the source gave no address: no node address/,
  ],
  ["is no URL", () => ({ scheme: "http", host: "bad host", port: 80, path: "/" }), /invalid url/i],
  ["has a bad path", () => ({ scheme: "http", host: "127.0.0.1", port: 80, path: "/a b" }), /invalid request path/i],
])("an address that %s is a failure of the source and says nothing of the endpoint", async (_what, target, reason) => {
  const fixture = scrape([{ target }]);
  const endpoint = fixture.add("a", 1);
  await until("four failures", () => fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type") >= 4);
  expect(fixture.log).toHaveLength(1);
  expect(fixture.log[0]!.fields["reason"]).toMatch(reason);
  expect(endpoint.reachability).toBe("unknown");
});

test("an exporter on another port that does not answer leaves the endpoint up", async () => {
  const [server, exporterPort] = await Promise.all([serve(always("up 1\n")), deadPort()]);
  const fixture = scrape([
    { name: "metrics" },
    {
      name: "exporter",
      target: ({ metadata }) => ({ scheme: "http", host: metadata.address, port: exporterPort, path: "/metrics" }),
    },
  ]);
  const endpoint = fixture.add("a", server.port);
  await until("many failures", () => fixture.count("llm_d_epp_datalayer_poll_errors_total", "exporter-type") >= 5);
  expect(endpoint.reachability).toBe("up");
  expect(fixture.scraper.status("default/a")).toMatchObject([{ state: "working" }, { state: "failing" }]);
});

test("an exporter on another port that answers does not make a dead endpoint look alive", async () => {
  const [exporter, port] = await Promise.all([serve(always("up 1\n")), deadPort()]);
  const fixture = scrape([
    { name: "metrics" },
    {
      name: "exporter",
      target: ({ metadata }) => ({ scheme: "http", host: metadata.address, port: exporter.port, path: "/metrics" }),
    },
  ]);
  const endpoint = fixture.add("a", port);
  await until("down", () => endpoint.reachability === "down");
  const pages = fixture.pages.length;
  await until("more pages of the exporter", () => fixture.pages.length > pages + 5);
  expect(endpoint.reachability).toBe("down");
});

test("where only another port of the host is polled, its answers count", async () => {
  const [exporter, port] = await Promise.all([serve(always("up 1\n")), deadPort()]);
  const fixture = scrape([
    { target: ({ metadata }) => ({ scheme: "http", host: metadata.address, port: exporter.port, path: "/metrics" }) },
  ]);
  const endpoint = fixture.add("a", port);
  await until("up", () => endpoint.reachability === "up");
  await exporter.close();
  await until("down", () => endpoint.reachability === "down");
});

test("each source polls at its own interval over its own connection", async () => {
  const server = await serve(always("up 1\n"));
  const fixture = scrape([
    { name: "fast", intervalMs: 5, target: (endpoint) => ({ ...ownPage(endpoint), path: "/fast" }) },
    { name: "slow", intervalMs: 3_600_000, target: (endpoint) => ({ ...ownPage(endpoint), path: "/slow" }) },
  ]);
  fixture.add("a", server.port);
  await until("many pages", () => fixture.pages.length >= 15);
  expect(server.requests.filter((request) => request.startsWith("GET /slow"))).toHaveLength(1);
  expect(server.connections).toBe(2);
});

test("a poll whose deadline is noticed late gets a chance to read the answer that has arrived meanwhile", async () => {
  const server = await serve(always("up 1\n"));
  let nowMs = 1000;
  const clock: Clock = { now: () => nowMs, wallTime: () => nowMs };
  const timers: (() => void)[] = [];
  const fixture = scrape([{ intervalMs: 500, timeoutMs: 1000 }], {
    clock,
    timers: {
      after: (_delayMs, run) => {
        timers.push(run);
        return { stop: () => void timers.splice(timers.indexOf(run), 1) };
      },
    },
  });
  fixture.add("a", server.port);
  timers.shift()!();
  nowMs += 5000;
  timers.shift()!();
  await until("the page", () => fixture.pages.length === 1);
  expect(fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type")).toBe(0);

  server.answer = hang;
  nowMs += 500;
  timers.shift()!();
  nowMs += 5000;
  timers.shift()!();
  nowMs += 5000;
  timers.shift()!();
  expect(fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type")).toBe(1);
});

test("an extractor for another kind of page is refused", () => {
  const fixture = new ScrapeFixture([]);
  const source = { payload: "json", maxBodyBytes: 1, pollTarget: () => undefined };
  const extractor = { payload: "prometheus-text", extract: () => undefined };
  expect(() =>
    createScraper({
      endpoints: fixture.store,
      bindings: [
        {
          source: { name: "models", type: "models-data-source", instance: source },
          extractors: [{ name: "core", type: "core-metrics-extractor", instance: extractor }],
        },
      ],
      intervalMs: 50,
      clock: systemClock,
      random: Math.random,
      logger: silentLogger,
      metrics: noMetrics,
    }),
  ).toThrow('extractor "core" reads "prometheus-text" pages, source "models" gives "json" pages');
});
