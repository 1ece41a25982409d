import { expect, test } from "vitest";
import { always, answerText, until } from "../test/page-server.ts";
import { cleanUpAfterEach, scrape, serve } from "../test/running.ts";
import type { ScrapeFixture } from "../test/scrape-fixture.ts";
import type { SystemLookup } from "./name-lookup.ts";

cleanUpAfterEach();

type Outcome = string | Error | "never";

/** A system that gives what `answerOf` says: an address, an error, or never an answer. Keeps who asked. */
function namesOf(answerOf: (host: string) => Outcome): { lookup: SystemLookup; asked: string[]; atOnce: () => number } {
  const asked: string[] = [];
  let open = 0;
  let most = 0;
  const lookup: SystemLookup = async (host) => {
    asked.push(host);
    most = Math.max(most, ++open);
    const outcome = answerOf(host);
    await new Promise((resolve) => outcome !== "never" && setImmediate(resolve));
    open--;
    if (outcome instanceof Error) throw outcome;
    return [{ address: outcome, family: 4 }];
  };
  return { lookup, asked, atOnce: () => most };
}

const failure = (code: string): Error =>
  Object.assign(new Error(`getaddrinfo ${code}`), { code, syscall: "getaddrinfo" });

const polls = (fixture: ScrapeFixture): number => fixture.count("llm_d_epp_datalayer_poll_errors_total", "source-type");

test("an endpoint whose name nobody answers for is not down, since nobody was asked", async () => {
  const { lookup } = namesOf(() => "never");
  const fixture = scrape([{ timeoutMs: 15 }], { lookup });
  const endpoint = fixture.add("a", 80, { address: "gone.test" });
  await until("five failures", () => polls(fixture) >= 5);
  expect(endpoint.reachability).toBe("unknown");
  expect(fixture.lines("warn").map(({ fields }) => fields["reason"])).toEqual(["its name has no address after 15 ms"]);
});

test("one name is looked up at a time, and once however many polls wait for it", async () => {
  const { lookup, asked } = namesOf(() => "never");
  const fixture = scrape([{ timeoutMs: 15 }], { lookup });
  for (const name of ["a", "b"]) fixture.add(name, 80, { address: "gone.test" });
  fixture.add("c", 80, { address: "gone-too.test" });
  await until("ten failures", () => polls(fixture) >= 10);
  expect(asked).toEqual(["gone.test"]);
});

test("names wait for their turn", async () => {
  const server = await serve(always("up 1\n"));
  const { lookup, asked, atOnce } = namesOf(() => "127.0.0.1");
  const fixture = scrape([{}], { lookup });
  const names = ["a", "b", "c", "d"];
  const endpoints = names.map((name) => fixture.add(name, server.port, { address: `${name}.test` }));
  await until("all are up", () => endpoints.every(({ reachability }) => reachability === "up"));
  expect(asked).toEqual(["a.test", "b.test", "c.test", "d.test"]);
  expect(atOnce()).toBe(1);
});

test.each<[string, Outcome]>([
  ["are silent", "never"],
  ["are away", failure("EAI_AGAIN")],
])("the addresses known serve while name servers %s", async (_what, later) => {
  const server = await serve((socket) => socket.end(answerText("up 1\n", ["connection: close"])));
  let outcome: Outcome = "127.0.0.1";
  const { lookup, asked } = namesOf(() => outcome);
  const fixture = scrape([{ timeoutMs: 250 }], { lookup });
  const endpoint = fixture.add("a", server.port, { address: "a.test" });
  await until("up", () => endpoint.reachability === "up");
  outcome = later;
  const askedBefore = asked.length;
  await until("a look-up in vain", () => asked.length > askedBefore);
  const { length } = fixture.pages;
  await until("further pages", () => fixture.pages.length > length + 5);
  expect(endpoint.reachability).toBe("up");
});

test("a name that stands for another server, or for none any more, is followed", async () => {
  const server = await serve((socket) => socket.end(answerText("up 1\n", ["connection: close"])));
  // Nobody listens there.
  let outcome: Outcome = "127.0.0.2";
  const { lookup } = namesOf(() => outcome);
  const fixture = scrape([{}], { lookup });
  const endpoint = fixture.add("a", server.port, { address: "a.test" });
  await until("down", () => endpoint.reachability === "down");
  outcome = "127.0.0.1";
  await until("up", () => endpoint.reachability === "up");
  outcome = failure("ENOTFOUND");
  await until("down again", () => endpoint.reachability === "down");
});
