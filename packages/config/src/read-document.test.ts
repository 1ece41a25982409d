import { describe, expect, test } from "vitest";
import { nodeValue } from "./config-node.ts";
import { ProblemList } from "./config-problem.ts";
import { documentLimits, readDocument } from "./read-document.ts";

function read(text: string): { readonly value: unknown; readonly found: readonly string[]; readonly messages: string } {
  const problems = new ProblemList("epp.yaml", text);
  const root = readDocument(text, problems);
  const found = problems.inFileOrder();
  return {
    value: root === undefined ? undefined : nodeValue(root),
    found: found.map(({ line, column, code }) => `${line}:${column} ${code.replace("EPP_CONFIG_", "")}`),
    messages: found.map(({ message }) => message).join("\n"),
  };
}

describe("content", () => {
  test("YAML and JSON give the same value", () => {
    const expected = { a: [1, 2.5, true, null, "x"], b: { c: "d" } };
    expect(read("a: [1, 2.5, true, null, x]\nb:\n  c: d\n").value).toEqual(expected);
    expect(read('{\n\t"a": [1, 2.5, true, null, "x"],\n\t"b": {"c": "d"}\n}').value).toEqual(expected);
  });

  test("a byte order mark and Windows line ends are no problem", () => {
    expect(read("\ufeffa: 1\r\nb: 2\r\n")).toEqual({ value: { a: 1, b: 2 }, found: [], messages: "" });
  });

  test("scalars read as in Kubernetes tools: YAML 1.1 booleans and integers, no times and dates", () => {
    const { value } = read("[yes, Off, 0777, 0x1F, 1_000, 1e3, 1:30, 2001-01-01, ~, '12']");
    expect(value).toEqual([true, false, 511, 31, 1000, 1000, "1:30", "2001-01-01", null, "12"]);
  });

  test("keys are texts, as written", () => {
    expect(read("1: a\nyes: b\n2.50: c").value).toEqual({ "1": "a", yes: "b", "2.50": "c" });
  });

  test("what objects inherit in JavaScript is a key like any other", () => {
    const { value, found } = read("constructor: 1\ntoString: 2\nhasOwnProperty: 3\nprototype: {x: 1}");
    expect(found).toEqual([]);
    expect(value).toEqual({ constructor: 1, toString: 2, hasOwnProperty: 3, prototype: { x: 1 } });
  });

  test("__proto__ is refused and changes nothing", () => {
    const { found } = read('a: {"__proto__": {polluted: true}}\n__proto__: {polluted: true}');
    expect(found).toEqual(["1:5 BAD_KEY", "2:1 BAD_KEY"]);
    expect("polluted" in {}).toBe(false);
  });

  test("a key that is a list, a map or an alias is refused, and the rest is read", () => {
    const { value, found } = read("a: &x 1\n? [b]\n: 2\n? {c: d}\n: 3\n*x : 4\ne: 5");
    expect(found).toEqual(["2:3 BAD_KEY", "4:3 BAD_KEY", "6:1 BAD_KEY"]);
    expect(value).toEqual({ a: 1, e: 5 });
  });

  test("a key given twice is refused at its second place, and the first one counts", () => {
    const { value, found } = read("a: 1\nb: {c: 1, c: 2}\na: 3");
    expect(found).toEqual(["2:11 DUPLICATE_FIELD", "3:1 DUPLICATE_FIELD"]);
    expect(value).toEqual({ a: 1, b: { c: 1 } });
  });
});

describe("emptiness", () => {
  test.each([" ", "\n\n", "# only a comment\n", "---\n", "--- # x\n...\n", "null", "~", "\ufeff"])(
    "%j has no content",
    (text) => {
      expect(read(text)).toMatchObject({ value: undefined, found: ["1:1 EMPTY"] });
    },
  );

  test("empty documents around the one with content do not count", () => {
    expect(read("---\n# nothing\n---\na: 1\n---\n")).toMatchObject({ value: { a: 1 }, found: [] });
  });

  test("a second document is refused where it starts", () => {
    expect(read("a: 1\n---\n# more\nb: 2\n---\nc: 3\n")).toMatchObject({
      value: { a: 1 },
      found: ["4:1 MULTIPLE_DOCUMENTS"],
    });
  });
});

describe("syntax", () => {
  test("all errors are reported with their places, and nothing else is said", () => {
    const { value, found, messages } = read('a: "x\nb: ]\nc: [1\nd: 2\n');
    expect(value).toBeUndefined();
    expect(found.length).toBeGreaterThan(0);
    expect(new Set(found.map((one) => one.split(" ")[1]))).toEqual(new Set(["SYNTAX"]));
    expect(messages).toContain("This is not valid YAML: ");
  });

  test("errors of several lines are problems of their own, one for each line", () => {
    expect(read("a: !one x\nb: !two [!three x]\n").found).toEqual(["1:4 SYNTAX", "2:4 SYNTAX"]);
  });

  test("tags that configuration files do not have are refused", () => {
    expect(read("a: !!binary aGk=\nb: !mine x\nc: !!str 5").found).toEqual(["1:4 SYNTAX", "2:4 SYNTAX"]);
    expect(read("c: !!str 5").value).toEqual({ c: "5" });
  });

  test("hundreds of errors are cut short", () => {
    expect(read("a: ]\n".repeat(500)).found).toHaveLength(documentLimits.syntaxProblems);
  });

  test("messages hold no line breaks and no control characters", () => {
    const { messages } = read("a: !\u001b[31m x\nb: ]");
    expect(messages.split("\n").every((line) => !/\p{Cc}/u.test(line))).toBe(true);
  });
});

describe("aliases and merge keys", () => {
  test("an alias stands for the value of the anchor before it", () => {
    expect(read("a: &x {b: 1}\nc: *x\nd: [*x, &x 2, *x]").value).toEqual({
      a: { b: 1 },
      c: { b: 1 },
      d: [{ b: 1 }, 2, 2],
    });
  });

  test("an alias without an anchor before it is refused", () => {
    expect(read("a: *x\nb: &x 1").found).toEqual(["1:4 ALIAS"]);
  });

  test("an alias inside its own anchor is refused", () => {
    expect(read("a: &x\n  b: *x").found).toEqual(["2:6 ALIAS"]);
  });

  test("a merge key adds what the map does not say itself; of several maps the first one wins", () => {
    const { value, found } = read(
      "base: &b {p: 1, q: 1}\nother: &o {q: 2, r: 2}\none: {p: 0, <<: *b}\ntwo: {<<: [*o, *b], s: 3}\nthree: {<<: {x: 1}}",
    );
    expect(found).toEqual([]);
    expect(value).toMatchObject({ one: { p: 0, q: 1 }, two: { q: 2, r: 2, p: 1, s: 3 }, three: { x: 1 } });
  });

  test("a quoted << is a key", () => {
    expect(read('{"<<": 1}').value).toEqual({ "<<": 1 });
  });

  test.each(["a: {<<: 1}", "a: {<<: [1]}", "a: {<<: }"])("%s is refused: only maps can be merged", (text) => {
    expect(read(text).found).toEqual(["1:5 ALIAS"]);
  });
});

describe("bounds", () => {
  test("a text beyond 1 MiB is refused", () => {
    expect(read(`a: 1\n${"#\n".repeat(600_000)}`).found).toEqual(["1:1 TOO_LARGE"]);
  });

  test("a very long value is refused where it stands", () => {
    expect(read(`a: 1\nb: ${"x".repeat(70_000)}`).found).toEqual(["2:4 TOO_LARGE"]);
  });

  test("a long comment is not", () => {
    expect(read(`# ${"x".repeat(70_000)}\na: 1`).value).toEqual({ a: 1 });
  });

  test.each([
    ["lists", "[".repeat(500_000)],
    ["maps", "{a: ".repeat(200_000)],
    ["block lists", "- ".repeat(400_000)],
    ["keys", "? ".repeat(400_000)],
    ["indented maps", Array.from({ length: 300 }, (_, i) => `${" ".repeat(i)}a:`).join("\n")],
    ["words", "[a,".repeat(1) + "a,".repeat(300_000)],
    ["lines", "a: 1\n".repeat(200_000)],
    ["documents", "---\n".repeat(250_000)],
  ])("too many %s are refused with one problem", (_, text) => {
    const { found, value } = read(text);
    expect(value).toBeUndefined();
    expect(found.map((one) => one.split(" ")[1])).toEqual(["TOO_LARGE"]);
  });

  test("nesting up to the bound is read", () => {
    const depth = documentLimits.depth;
    expect(read("[".repeat(depth) + "]".repeat(depth)).found).toEqual([]);
    expect(read("[".repeat(depth + 1) + "]".repeat(depth + 1)).found.map((one) => one.split(" ")[1])).toEqual([
      "TOO_LARGE",
    ]);
  });

  test("aliases that unfold to billions of values are refused", () => {
    const lines = Array.from(
      { length: 12 },
      (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(", ")}]`,
    );
    expect(read(`a0: &a0 x\n${lines.join("\n")}`).found.map((one) => one.split(" ")[1])).toEqual(["TOO_LARGE"]);
  });

  test("aliases that unfold to great depth are refused", () => {
    const lines = Array.from({ length: 5000 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}]`);
    expect(read(`a0: &a0 x\n${lines.join("\n")}`).found.map((one) => one.split(" ")[1])).toEqual(["TOO_LARGE"]);
  });
});
