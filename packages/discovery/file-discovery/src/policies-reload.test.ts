import { afterEach, expect, test } from "vitest";
import { cleanUps, FileFixture, started } from "../test/file-fixture.ts";

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

const objective = (name: string, priority: number | string): string =>
  `- {metadata: {name: ${name}}, spec: {priority: ${priority}}}\n`;
const rewrite = (name: string, target: string): string =>
  `- {metadata: {name: ${name}}, spec: {rules: [{targets: [{modelRewrite: ${target}}]}]}}\n`;

test("objectives and rewrites are known when the start is done", async () => {
  const fixture = await started(`endpoints: []\nobjectives:\n${objective("a", 1)}modelRewrites:\n${rewrite("r", "m")}`);
  expect(fixture.objectives).toEqual([{ name: "a", priority: 1 }]);
  expect(fixture.rewrites).toMatchObject([{ name: "r" }]);
  expect(fixture.log[0]!.fields).toMatchObject({ objectives: 1, modelRewrites: 1 });
  expect(fixture.instance.dumpState?.()).toMatchObject({ objectives: 1, modelRewrites: 1 });
});

test("any problem among them ends the start", async () => {
  const fixture = new FileFixture();
  fixture.write(`endpoints: []\nobjectives:\n${objective("a", "high")}`);
  await expect(fixture.start()).rejects.toThrow(/:3:42 priority is "high"/);
});

test("a changed file replaces them; one without the keys has none", async () => {
  const fixture = await started(`endpoints: []\nobjectives:\n${objective("a", 1)}${objective("b", 2)}`);
  fixture.write(`endpoints: []\nobjectives:\n${objective("b", 3)}\n`);
  await fixture.nextLine();
  expect(fixture.objectives).toEqual([{ name: "b", priority: 3 }]);
  fixture.write("endpoints: []\n");
  await fixture.nextLine();
  expect(fixture.objectives).toEqual([]);
});

test("an item that becomes invalid keeps its last good state, and the others apply", async () => {
  const fixture = await started(
    `endpoints: []\nobjectives:\n${objective("a", 1)}${objective("b", 2)}modelRewrites:\n${rewrite("r", "m")}`,
  );
  fixture.write(
    `endpoints: []\nobjectives:\n${objective("a", "high")}${objective("b", 3)}modelRewrites:\n- {metadata: {name: r}}\n`,
  );
  const { level, fields } = await fixture.nextLine();
  expect(level).toBe("warn");
  expect(fields).toMatchObject({ kept: 2, refused: 2, objectives: 2, modelRewrites: 1 });
  expect(fields["problems"]).toEqual([
    `${fixture.path}:3:42 priority is "high"; use a whole number from -2147483648 to 2147483647`,
    `${fixture.path}:6:3 spec is missing`,
  ]);
  expect(fixture.objectives).toEqual([
    { name: "b", priority: 3 },
    { name: "a", priority: 1 },
  ]);
  expect(fixture.rewrites).toMatchObject([{ name: "r" }]);
});

test("a file that ends in the middle of its last rewrite changes nothing", async () => {
  const fixture = await started(`endpoints: []\nmodelRewrites:\n${rewrite("r", "m")}${rewrite("s", "m")}`);
  fixture.write("endpoints: []\nmodelRewrites:\n- {metadata: {name: t}}");
  const { message } = await fixture.nextLine();
  expect(message).toBe("the endpoints file cannot be used; everything stays as it is");
  expect(fixture.rewrites.map(({ name }) => name)).toEqual(["r", "s"]);
});
