import { afterEach } from "vitest";
import { type Answer, hang, PageServer } from "./page-server.ts";
import { ScrapeFixture } from "./scrape-fixture.ts";

const running: { close(): Promise<void> }[] = [];

/** Keeps something until the test is over, then closes it. Call inside a test. */
export function closeAfterTest(closable: { close(): Promise<void> }): void {
  running.unshift(closable);
}

/** Closes after each test what it started. Call at the top of a test file. */
export function cleanUpAfterEach(): void {
  afterEach(async () => {
    for (const each of running.splice(0)) await each.close();
  });
}

/** A server until the end of the test. */
export async function serve(answer: Answer, port = 0): Promise<PageServer> {
  const server = await PageServer.listen(answer, { port });
  running.push(server);
  return server;
}

/** A scraper that runs until the end of the test. */
export function scrape(...options: ConstructorParameters<typeof ScrapeFixture>): ScrapeFixture {
  const fixture = new ScrapeFixture(...options);
  closeAfterTest({ close: () => fixture.scraper.stop() });
  fixture.scraper.start();
  return fixture;
}

/** A port where nobody listens. */
export async function deadPort(): Promise<number> {
  const server = await PageServer.listen(hang);
  await server.close();
  return server.port;
}
