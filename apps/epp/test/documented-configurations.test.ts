import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatProblem, loadConfig } from "@pointsman/config";
import { createTimers, noMetrics, silentLogger, systemClock } from "@pointsman/core";
import { expect, test } from "vitest";
import { PluginRegistry } from "../src/registry/plugin-registry.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const readmes = globSync(["*.md", "{apps,packages}/**/*.md"], {
  cwd: root,
  exclude: (name) => name === "node_modules" || name === "dist",
});

const blocks = readmes.sort().flatMap((file) => {
  // A file inside a text, between four backticks, is for another place; its lines count.
  const text = readFileSync(join(root, file), "utf8").replace(/^````[\s\S]*?^````$/gm, (block) =>
    block.replaceAll("`", " "),
  );
  return [...text.matchAll(/```yaml\n([\s\S]*?)```/g)]
    .map((match) => ({ file, line: text.slice(0, match.index).split("\n").length, yaml: match[1]! }))
    .filter(({ yaml }) => /^(kind: EndpointPickerConfig|plugins:)/m.test(yaml));
});

test("the READMEs show configurations", () => {
  expect(blocks.length).toBeGreaterThan(15);
});

const examples = globSync("apps/*/examples/*.yaml", { cwd: root })
  .sort()
  .map((file) => ({ file, line: 1, yaml: readFileSync(join(root, file), "utf8") }));

test("there are examples of whole configurations", () => {
  expect(examples.length).toBeGreaterThan(5);
});

test.each([...blocks, ...examples])(
  "the configuration in $file, line $line, loads without a problem",
  async ({ file, yaml }) => {
    const baseDirectory = join(root, dirname(file));
    const { problems, graph } = await loadConfig(
      { text: yaml, file, baseDirectory },
      {
        resolver: new PluginRegistry(baseDirectory),
        allowExperimental: true,
        environment: {
          logger: silentLogger,
          metrics: noMetrics,
          clock: systemClock,
          stalenessMs: 2000,
          random: Math.random,
          endpoints: () => [],
          timersFor: (name) => createTimers(name, silentLogger),
        },
      },
    );
    await graph?.dispose();
    expect(problems.map(formatProblem)).toEqual([]);
  },
);
