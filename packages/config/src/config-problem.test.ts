import { expect, test } from "vitest";
import { formatProblem, ProblemList } from "./config-problem.ts";

test("a problem is shown on two lines: place, severity, code, message; what to do and where to read more", () => {
  const problem = {
    code: "EPP_CONFIG_UNKNOWN_PARAM",
    severity: "error",
    message: 'plugins[0] "prefix-cache-scorer" has no parameter "blokSizeTokens".',
    help: 'Nearest: "blockSizeTokens" (integer > 0, tokens, default 64).',
    file: "epp.yaml",
    line: 6,
    column: 5,
    path: "plugins[0].parameters.blokSizeTokens",
  } as const;
  expect(formatProblem(problem)).toBe(
    'epp.yaml:6:5 error EPP_CONFIG_UNKNOWN_PARAM  plugins[0] "prefix-cache-scorer" has no parameter "blokSizeTokens".\n' +
      '    Nearest: "blockSizeTokens" (integer > 0, tokens, default 64). See docs/errors.md#epp_config_unknown_param',
  );
  expect(formatProblem({ ...problem, help: "" })).toMatch(/\n {4}See docs\/errors\.md#epp_config_unknown_param$/);
});

test("problems come in file order, those of one place as found; lines and columns count from 1", () => {
  const problems = new ProblemList("f", "ab\ncd\n\nef");
  const at = (offset: number, path = ""): { readonly offset: number; readonly path: string } => ({ offset, path });
  problems.add("EPP_CONFIG_EMPTY", at(7), "third");
  problems.add("EPP_CONFIG_EMPTY", at(4), "first");
  problems.add("EPP_CONFIG_EMPTY", at(4), "second");
  problems.add("EPP_CONFIG_EMPTY", at(9), "last", "at the end");
  expect(problems.inFileOrder().map(({ message, line, column }) => `${message} ${line}:${column}`)).toEqual([
    "first 2:2",
    "second 2:2",
    "third 4:1",
    "last 4:3",
  ]);
  expect(problems.hasErrors).toBe(true);
});

test("warnings are no errors", () => {
  const problems = new ProblemList("f", "");
  problems.add("EPP_CONFIG_UNUSED_PLUGIN", { offset: 0, path: "" }, "x");
  expect(problems.hasErrors).toBe(false);
  expect(problems.inFileOrder()).toMatchObject([{ severity: "warning", line: 1, column: 1 }]);
});

test("nearest names are searched within a bound on the work of a whole file", () => {
  const problems = new ProblemList("f", "");
  expect(problems.nearest("queue-scoerr", ["queue-scorer"])).toBe("queue-scorer");
  const near = `${"x".repeat(60)}y`;
  const many = Array.from({ length: 5000 }, () => "x".repeat(60));
  // Near enough to have a nearest name each time, until the work is too much.
  expect(problems.nearest(near, many)).toBe(many[0]);
  expect(problems.nearest(near, many)).toBeUndefined();
  expect(problems.nearest("queue-scoerr", ["queue-scorer"])).toBe("queue-scorer");
});
