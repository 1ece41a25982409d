import { expect, test } from "vitest";
import { z } from "zod";
import { type FakePlugins, usualPlugins } from "../test/fake-plugins.ts";
import type { PluginGraph } from "./plugin-graph.ts";

function withDeciders(): FakePlugins {
  return usualPlugins()
    .add("a-decider", "decider", { params: z.strictObject({ tokens: z.int().default(1) }) })
    .add("a-handler", "profile-handler", {
      params: z.strictObject({ decider: z.string() }),
      references: ({ decider }) => [{ path: ["decider"], name: String(decider) }],
    });
}

const pair = (tokens: number, more = ""): string => `plugins:
  - { type: queue-scorer }
  - { type: max-score-picker, parameters: { maxNumOfEndpoints: 2 } }
  - { type: a-decider, parameters: { tokens: ${tokens} } }
  - { type: a-handler, parameters: { decider: a-decider } }
${more}`;

async function load(fakes: FakePlugins, text: string, replaces?: PluginGraph): Promise<PluginGraph> {
  const { graph, problems } = await fakes.load(text, replaces === undefined ? {} : { replaces });
  expect(problems.filter(({ severity }) => severity === "error")).toEqual([]);
  return graph!;
}

const instanceOf = (graph: PluginGraph, name: string) => graph.plugins.find((plugin) => plugin.name === name)?.instance;

test("plugins that did not change are taken over, default ones too; a changed one and what refers to it are made anew", async () => {
  const fakes = withDeciders();
  const before = await load(fakes, pair(1));
  fakes.events.length = 0;
  const after = await load(fakes, pair(2), before);
  const made = fakes.events.filter((event) => event.startsWith("create")).toSorted();
  expect(made).toEqual(["create a-decider", "create a-handler"]);
  for (const name of ["queue-scorer", "max-score-picker", "metrics-data-source", "core-metrics-extractor"]) {
    expect(instanceOf(after, name)).toBeDefined();
    expect(instanceOf(after, name)).toBe(instanceOf(before, name));
  }
  await before.dispose();
  await after.dispose();
});

test("what is taken over lives until the last graph lets go of it, whichever that is", async () => {
  const fakes = withDeciders();
  for (const oldFirst of [true, false]) {
    const before = await load(fakes, pair(1));
    const after = await load(fakes, pair(2), before);
    fakes.events.length = 0;
    await (oldFirst ? before : after).dispose();
    const gone = ["dispose a-decider", "dispose a-handler"];
    expect(fakes.events.toSorted()).toEqual(gone);
    await (oldFirst ? after : before).dispose();
    expect(fakes.events.filter((event) => event === "dispose queue-scorer")).toHaveLength(1);
    await before.dispose();
    expect(fakes.events.filter((event) => event === "dispose queue-scorer")).toHaveLength(1);
  }
});

test("a graph that is refused leaves the one at work as it is", async () => {
  const fakes = withDeciders();
  const before = await load(fakes, pair(1));
  fakes.events.length = 0;
  const { graph } = await fakes.load(pair(1, "  - { type: no-such-type }"), { replaces: before });
  expect(graph).toBeUndefined();
  expect(fakes.events.filter((event) => event.startsWith("dispose"))).toEqual([]);
  await before.dispose();
  expect(fakes.events).toContain("dispose queue-scorer");
});

test("a plugin of another type or name is another plugin", async () => {
  const fakes = usualPlugins();
  const before = await load(fakes, "plugins: [{ name: best, type: max-score-picker }, { type: queue-scorer }]");
  const after = await load(
    fakes,
    "plugins: [{ name: best, type: random-picker }, { name: q, type: queue-scorer }]",
    before,
  );
  expect(instanceOf(after, "best")).not.toBe(instanceOf(before, "best"));
  expect(instanceOf(after, "q")).not.toBe(instanceOf(before, "queue-scorer"));
  await before.dispose();
  await after.dispose();
});
