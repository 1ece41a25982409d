export type { PollBinding } from "./poll-binding.ts";
export { createScraper, type EndpointFeed, type Scraper, type ScraperOptions } from "./scraper.ts";
export type { PollStatus } from "./source-poll.ts";
