import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { problemCatalog, renderProblemCatalog } from "./index.ts";

const sources = readdirSync(import.meta.dirname).filter(
  (file) => file.endsWith(".ts") && !file.startsWith("problem-catalog"),
);
const textOf = (isTest: boolean): string =>
  sources
    .filter((file) => file.endsWith(".test.ts") === isTest)
    .map((file) => readFileSync(`${import.meta.dirname}/${file}`, "utf8"))
    .join("\n");

test("every code is reported somewhere", () => {
  const text = textOf(false);
  expect(Object.keys(problemCatalog).filter((code) => !text.includes(`"${code}"`))).toEqual([]);
});

test("every code is provoked by a test", () => {
  const text = textOf(true);
  expect(Object.keys(problemCatalog).filter((code) => !text.includes(code.replace("EPP_CONFIG_", "")))).toEqual([]);
});

test("every explanation is complete", () => {
  for (const [code, { title, cause, fix }] of Object.entries(problemCatalog)) {
    expect(code).toMatch(/^EPP_CONFIG_[A-Z]+(_[A-Z]+)*$/);
    expect(title).toMatch(/^[A-Z].*[^.]$/);
    expect(cause).toMatch(/^["A-Z].*\.$/);
    expect(fix).toMatch(/^["A-Z].*\.$/);
  }
});

test("the catalog as Markdown has a heading for each code, which is the anchor of messages", () => {
  const text = renderProblemCatalog();
  expect(text.match(/^## .*$/gm)).toEqual(Object.keys(problemCatalog).map((code) => `## ${code}`));
  expect(text).toContain(
    "## EPP_CONFIG_TWO_PICKERS\n\nTwo pickers in one profile (error).\n\nCause: A profile has one picker, which makes the choice.\n\nFix: Remove one.",
  );
  expect(text.endsWith("\n")).toBe(true);
  expect(text).not.toContain("\n\n\n");
});
