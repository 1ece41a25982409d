import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("every scenario of the coordinator, C1 to C13, has a test with its number", () => {
  const text = readFileSync(new URL("./scenarios.test.ts", import.meta.url), "utf8");
  const ids = new Set([...text.matchAll(/"(C[0-9]+): /g)].map((match) => match[1]));
  expect([...Array(13).keys()].map((i) => `C${i + 1}`).filter((id) => !ids.has(id))).toEqual([]);
});
