import { FakeClock } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { always, hang, until } from "../test/page-server.ts";
import { cleanUpAfterEach, closeAfterTest, deadPort, scrape, serve } from "../test/running.ts";
import { ScrapeFixture, type SourceOptions } from "../test/scrape-fixture.ts";

cleanUpAfterEach();

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
  const clock = new FakeClock();
  const fixture = scrape([{ timeoutMs: 100 }], { clock, timers: clock.timers });
  const endpoint = fixture.add("a", server.port);
  let mostOpen = 0;
  await until("down", () => {
    clock.advance(5);
    mostOpen = Math.max(mostOpen, server.open.size);
    return endpoint.reachability === "down";
  });
  expect(mostOpen).toBe(1);
  expect(fixture.lines("warn")[0]!.fields["reason"]).toBe("no answer within 100 ms");
  await until("the connections of failed polls are closed", () => server.open.size === 0);
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

test.each<[string, SourceOptions[]]>([
  ["nothing polls it", []],
  ["a page elsewhere is polled", [{ target: () => ({ scheme: "http", host: "192.0.2.1", port: 1, path: "/" }) }]],
  ["its sources pass it over", [{ target: () => undefined }]],
])("an endpoint that another scraper found down is unknown where %s", (_where, sources) => {
  const fixture = new ScrapeFixture(sources);
  closeAfterTest({ close: () => fixture.scraper.stop() });
  const endpoint = fixture.add("a", 1);
  endpoint.reachability = "down";
  fixture.scraper.start();
  expect(endpoint.reachability).toBe("unknown");
});

test("an endpoint that another scraper found down stays so until it answers", async () => {
  const server = await serve(always("up 1\n"));
  const fixture = new ScrapeFixture();
  closeAfterTest({ close: () => fixture.scraper.stop() });
  const endpoint = fixture.add("a", server.port);
  endpoint.reachability = "down";
  fixture.scraper.start();
  expect(endpoint.reachability).toBe("down");
  await until("up", () => endpoint.reachability === "up");
});
