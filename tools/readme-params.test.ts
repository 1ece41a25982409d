import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { updateReadmes, withTable } from "./readme-params.ts";

const start = "<!-- params:start -->";
const end = "<!-- params:end -->";
let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "readme-params-"));
  write(
    "pnpm-workspace.yaml",
    'packages:\n  - packages/core\n  - "packages/scorers/*"\n  - packages/none/*\n\ncatalog: {}\n',
  );
  write("packages/core/package.json", "{}");
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

test("writes the table, then finds nothing to do", async () => {
  plugin("a-scorer", withLimit(3), `# a\n\n${start}\nold\n${end}\n\nRest.\n`);
  expect(await updateReadmes(root, true)).toEqual([
    "packages/scorers/a-scorer/README.md: the parameters table differs from the plugin's schema",
  ]);
  expect(await updateReadmes(root, false)).toEqual([]);
  expect(read("packages/scorers/a-scorer/README.md")).toBe(
    [
      `# a\n\n${start}`,
      "| Parameter | Type    | Default | Meaning |",
      "| --------- | ------- | ------- | ------- |",
      "| `limit`   | integer | `3`     | Limit.  |",
      `${end}\n\nRest.\n`,
    ].join("\n"),
  );
  expect(await updateReadmes(root, true)).toEqual([]);
});

test("leaves plugins without parameters and packages that are no plugins alone", async () => {
  plugin("a-scorer", "export default {};", "# a\n");
  expect(await updateReadmes(root, false)).toEqual([]);
  expect(read("packages/scorers/a-scorer/README.md")).toBe("# a\n");
});

test("names a README without markers, and one with markers for no parameters; the others are written", async () => {
  plugin("a-scorer", withLimit(1), "# a\n");
  plugin("b-scorer", "export default {};", `${start}\n${end}\n`);
  plugin("c-scorer", withLimit(2), `${start}\n${end}\n`);
  const problems = await updateReadmes(root, false);
  expect(problems).toHaveLength(2);
  expect(problems[0]).toContain("packages/scorers/a-scorer/README.md: needs <!-- params:start -->");
  expect(problems[1]).toContain("packages/scorers/b-scorer/README.md: has <!-- params:start -->");
  expect(read("packages/scorers/c-scorer/README.md")).toContain("`limit`");
});

test.each(["", start, end, `${end}${start}`, `${start}${start}${end}`, `${start}${end}${end}`, `${end}${start}${end}`])(
  "%j is no place for a table",
  (readme) => {
    expect(() => withTable(readme, "table")).toThrow("once and in this order");
  },
);

test("markers of another name are a place of their own, also when they stand close together", () => {
  const readme = `${start}\n${end}\n<!-- plugins:start -->\n<!-- plugins:end -->\n`;
  expect(withTable(readme, "table", "plugins")).toBe(
    `${start}\n${end}\n<!-- plugins:start -->\ntable\n<!-- plugins:end -->\n`,
  );
  expect(() => withTable(readme, "table", "kinds")).toThrow("needs <!-- kinds:start --> and <!-- kinds:end -->");
});

function withLimit(limit: number): string {
  return `const input = () => ({ properties: { limit: { type: "integer", default: ${limit}, description: "Limit." } } });
export default { params: { "~standard": { jsonSchema: { input } } } };`;
}

function plugin(type: string, source: string, readme: string): void {
  write(`packages/scorers/${type}/package.json`, JSON.stringify({ type: "module", pointsman: { types: [type] } }));
  write(`packages/scorers/${type}/src/index.ts`, source);
  write(`packages/scorers/${type}/README.md`, readme);
}

function write(path: string, text: string): void {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), text);
}

function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}
