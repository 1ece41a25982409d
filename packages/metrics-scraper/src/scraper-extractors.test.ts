import { expect, test } from "vitest";
import { always, until } from "../test/page-server.ts";
import { cleanUpAfterEach, scrape, serve } from "../test/running.ts";

cleanUpAfterEach();

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
