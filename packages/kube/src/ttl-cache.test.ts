import { FakeClock } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { TtlCache } from "./ttl-cache.ts";

test("values are kept for their time, and beyond the limit the oldest goes", () => {
  const clock = new FakeClock();
  const cache = new TtlCache<number>(2, clock);
  cache.set("a", 1, 100);
  cache.set("b", 2, 200);
  clock.advance(100);
  expect([cache.get("a"), cache.get("b")]).toEqual([undefined, 2]);
  cache.set("c", 3, 100);
  cache.set("d", 4, 100);
  expect([cache.get("b"), cache.get("c"), cache.get("d"), cache.size]).toEqual([undefined, 3, 4, 2]);
  cache.delete("c");
  expect(cache.size).toBe(1);
});
