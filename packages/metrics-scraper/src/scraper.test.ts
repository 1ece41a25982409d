import { setTimeout as sleep } from "node:timers/promises";
import { type Clock, noMetrics, silentLogger, systemClock } from "@pointsman/core";
import { expect, test } from "vitest";
import { always, hang, until } from "../test/page-server.ts";
import { cleanUpAfterEach, closeAfterTest, scrape, serve } from "../test/running.ts";
import { ownPage, ScrapeFixture, type SourceOptions } from "../test/scrape-fixture.ts";
import { createScraper } from "./index.ts";

cleanUpAfterEach();

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
  closeAfterTest({ close: () => fixture.scraper.stop() });
  fixture.add("a", server.port);
  fixture.scraper.start();
  await until("a page", () => fixture.pages.length > 0);
  await sleep(30);
  expect(server.requests).toHaveLength(1);
  expect(() => fixture.scraper.start()).toThrow("has been started before");
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

test("a request that meets a connection that was just closed goes out again on a new one", async () => {
  let onConnection = 0;
  let last: object | undefined;
  const server = await serve((socket, request) => {
    if (socket !== last) onConnection = 0;
    last = socket;
    if (onConnection++ < 2) always("up 1\n")(socket, request);
    else socket.destroy();
  });
  const fixture = scrape();
  fixture.add("a", server.port);
  await until("ten pages", () => fixture.pages.length >= 10);
  expect(server.connections).toBeGreaterThanOrEqual(5);
  expect(fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type")).toBe(0);
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
