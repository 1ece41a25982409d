import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const folder = dirname(fileURLToPath(import.meta.url));

test("every scenario of the sidecar, S1 to S56, has a test with its number", () => {
  const text = globSync("scenarios-*.test.ts", { cwd: folder })
    .map((file) => readFileSync(join(folder, file), "utf8"))
    .join("\n");
  const ids = new Set([...text.matchAll(/\bid: "(S[0-9]+)"/g)].map((match) => match[1]));
  expect([...Array(56).keys()].map((i) => `S${i + 1}`).filter((id) => !ids.has(id))).toEqual([]);
});
