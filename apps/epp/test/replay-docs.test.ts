/** The commands of docs/replay.md run and print what stands there. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { builtinPolicyNames } from "@pointsman/replay";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { replayCommand } from "../src/cli/replay.ts";

// Replays take seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const text = readFileSync(fileURLToPath(new URL("../docs/replay.md", import.meta.url)), "utf8");
const examples = [...text.matchAll(/```console\n\$ epp replay (.*)\n([\s\S]*?)```/g)].map((match) => ({
  command: match[1]!,
  output: match[2]!.trimEnd(),
}));

const directory = mkdtempSync(join(tmpdir(), "replay-docs-"));
const home = process.cwd();
beforeAll(() => {
  for (const [, name, yaml] of text.matchAll(/^`(\S+\.yaml)` [^\n]*\n\n```yaml\n([\s\S]*?)```/gm)) {
    writeFileSync(join(directory, name!), yaml!);
  }
});
afterAll(() => {
  process.chdir(home);
  rmSync(directory, { recursive: true, force: true });
});

test("the page shows configurations and commands", () => {
  expect(readFileSync(join(directory, "prefix.yaml"), "utf8")).toContain("prefix-cache-scorer");
  expect(examples.map(({ command }) => command.split(" ")[0])).toEqual([
    "prefix.yaml",
    "prefix.yaml",
    "in-flight.yaml",
    "in-flight.yaml",
  ]);
});

/**
 * What a line says: the figures of the replay's own policies as they are, of configurations only how many there are, since
 * every change of a plugin may change them.
 */
function said(line: string): string {
  const [first = ""] = line.split(" ");
  if (builtinPolicyNames.some((name) => name === first) || line.includes("simulated time"))
    return line.replace(/ +/g, " ");
  return line
    .replace(/\d+(\.\d+)?/g, "#")
    .replace(/-(?= )/g, "#")
    .replace(/ +/g, " ");
}

test.each(examples)("epp replay $command prints what stands there", async ({ command, output }) => {
  process.chdir(directory);
  let printed = "";
  const write = vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    printed += String(chunk);
    return true;
  });
  const code = await replayCommand.run(command.split(" "));
  write.mockRestore();
  expect(code).toBe(0);
  expect(output.split("\n").map(said)).toEqual(printed.trimEnd().split("\n").map(said));
});
