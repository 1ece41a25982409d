import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { report, usualPlugins } from "../test/fake-plugins.ts";

const readme = readFileSync(`${import.meta.dirname}/../README.md`, "utf8");
const blocks = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1] ?? "");

test("the configurations in the README load without problems", async () => {
  expect(blocks.length).toBeGreaterThan(0);
  for (const block of blocks) expect(report(await usualPlugins().load(block))).toBe("");
});

test("the report in the README is what the mistake gives", async () => {
  const [block = ""] = blocks;
  const outcome = await usualPlugins().load(
    block
      .replace("  - type: queue-scorer\n", "")
      .replace("matchLengthWeight", "matchLengthWeigth")
      .replace(/ *- pluginRef: queue-scorer\n *weight: 2\n/, ""),
  );
  expect(readme).toContain(report(outcome));
});
