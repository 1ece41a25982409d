import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { flagSpecs, helpText, parseCommandLine } from "./command-line.ts";

function problems(...args: readonly string[]): readonly string[] {
  const commandLine = parseCommandLine(args);
  return commandLine.kind === "wrong" ? commandLine.problems : [];
}

test("flags become options, with a blank or an equals sign before the value", () => {
  const args = "--port 8000 --name=sim-1 --block-size=32 --kv-blocks 100 --lora sql,chat --lora=math --engine sglang";
  expect(parseCommandLine(args.split(" "))).toEqual({
    kind: "run",
    logLevel: "warn",
    shutdownTimeoutMs: 30_000,
    options: {
      port: 8000,
      name: "sim-1",
      blockTokens: 32,
      kvBlocks: 100,
      loraAdapters: ["sql", "chat", "math"],
      engine: "sglang",
      control: {},
    },
  });
});

test("failure flags become the control settings to start with", () => {
  const args =
    "--error-fraction 0.1 --cut-after-chunks 3 --cut-fraction 0.5 --hang metrics --metrics-mode stale --slow-factor 2 --refuse new --metrics-padding-bytes 1000 --log-level debug --shutdown-timeout-ms 5";
  expect(parseCommandLine(args.split(" "))).toMatchObject({
    kind: "run",
    logLevel: "debug",
    shutdownTimeoutMs: 5,
    options: {
      control: {
        errors: { fraction: 0.1 },
        cut: { afterChunks: 3, fraction: 0.5 },
        hang: "metrics",
        metrics: "stale",
        slowFactor: 2,
        refuse: "new",
        metricsPaddingBytes: 1000,
      },
    },
  });
});

test("every problem is reported and names its flag, an unknown flag also the nearest one", () => {
  expect(
    problems("--kv-bloks", "3", "extra", "--port", "--seed", "x", "--name", "a", "--name", "b", "--engine=vlm"),
  ).toEqual([
    "--kv-bloks is not a flag; the nearest flag is --kv-blocks",
    '"extra" is not a flag; flags start with "--"',
    "--port needs a value: <number>",
    "--name is given twice",
    '--seed must be a number, not "x"',
    '--engine must be one of vllm, sglang, trtllm-serve, not "vlm"; the nearest is vllm',
  ]);
  expect(problems("--something-else-entirely")).toEqual([
    "--something-else-entirely is not a flag; --help lists the flags",
  ]);
});

test("a value out of range names the flag it came from", () => {
  const args =
    "--port 70000 --error-fraction 2 --lora a,a --max-model-len 1 --shutdown-timeout-ms -1 --slow-factor 0 --model= --time-scale 0";
  expect(problems(...args.split(" ")).map((problem) => problem.split(" ")[0])).toEqual([
    "--shutdown-timeout-ms",
    "--port",
    "--time-scale",
    "--max-model-len",
    "--model",
    "--lora",
    "--error-fraction",
    "--slow-factor",
  ]);
});

test("help and version win over everything else", () => {
  expect(parseCommandLine(["--help", "--nonsense"])).toEqual({ kind: "help" });
  expect(parseCommandLine(["--version"])).toEqual({ kind: "version" });
});

test("the help text and the README name every flag with its default", () => {
  // The tables are padded with blanks.
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8").replace(/ +/g, " ");
  const help = helpText();
  for (const spec of flagSpecs) {
    expect(help).toContain(`--${spec.flag}`);
    const row = readme.split("\n").find((line) => line.startsWith(`| \`--${spec.flag}\` |`));
    expect(row, `--${spec.flag} in README.md`).toBeDefined();
    if (spec.default !== undefined) expect(row).toContain(`| ${spec.default} |`);
  }
  const rows = readme.match(/^\| `--[a-z0-9-]+` \|/gm) ?? [];
  expect(rows).toHaveLength(flagSpecs.length);
});
