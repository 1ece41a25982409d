import { describe, expect, test } from "vitest";
import type { PageFormat } from "./sample-line.ts";
import { LabelCursor, maxLabelsPerSample, quoted, SampleLine } from "./sample-line.ts";

const line = new SampleLine();

/** Reads what follows the name; the line is surrounded, so that reading too far shows. */
function read(rest: string, format: PageFormat = "text"): string | undefined {
  return line.read(`xx${rest}\nyy 1`, 2, 2 + rest.length, format);
}

function labelsOf(rest: string): Record<string, string> {
  expect(read(rest)).toBeUndefined();
  const text = `xx${rest}`.slice(line.labelsFrom, line.labelsTo);
  const cursor = new LabelCursor();
  const labels: Record<string, string> = {};
  cursor.start(text);
  while (cursor.next())
    labels[text.slice(cursor.nameFrom, cursor.nameTo)] = text.slice(cursor.valueFrom, cursor.valueTo);
  return labels;
}

describe("values and timestamps", () => {
  test.each([
    [" 3", 3, undefined],
    ["\t3 ", 3, undefined],
    ["  3\t \t", 3, undefined],
    ["{}3", 3, undefined],
    ["{} 3", 3, undefined],
    [" 3 1700000000000", 3, 1700000000000],
    [" 3 -5 ", 3, -5],
    [" 3 +5", 3, 5],
    [" NaN", Number.NaN, undefined],
    [' 3 # {trace="a"} 1', 3, undefined],
    [' 3 17 # {trace="a"} 1', 3, 17],
  ])("%j", (rest, value, timestampMs) => {
    expect(read(rest)).toBeUndefined();
    expect(line.value).toBe(value);
    expect(line.timestampMs).toBe(timestampMs);
  });

  test("OpenMetrics timestamps are seconds with fraction", () => {
    expect(read(" 3 1700000000.25", "openmetrics")).toBeUndefined();
    expect(line.timestampMs).toBe(1700000000250);
  });

  test("a line without timestamp does not keep that of the line before", () => {
    read(" 3 17");
    read(" 4");
    expect(line.timestampMs).toBeUndefined();
  });
});

describe("labels", () => {
  test.each([
    [" 1", {}],
    ["{} 1", {}],
    ["{  } 1", {}],
    ['{a="1"} 1', { a: "1" }],
    ['{a="1",} 1', { a: "1" }],
    ['{a="1" , } 1', { a: "1" }],
    ['{ a = "1" , b\t=\t"2" } 1', { a: "1", b: "2" }],
    [' {a="1"}1', { a: "1" }],
    ['{a="",_b9="x"} 1', { a: "", _b9: "x" }],
    ['{a="}",b=",",c="="} 1', { a: "}", b: ",", c: "=" }],
    ['{a="\\"",b="\\\\",c="\\n"} 1', { a: '\\"', b: "\\\\", c: "\\n" }],
    ['{a="\\\\"} 1', { a: "\\\\" }],
    ['{a="\x00\t\xc3\xa9"} 1', { a: "\x00\t\xc3\xa9" }],
  ])("%j", (rest, labels) => {
    expect(labelsOf(rest)).toEqual(labels);
  });

  test("the hash is equal for equal label sets in another order and spacing", () => {
    const hashes = ['{a="1",b="22"} 1', '{b="22",a="1"} 5 7', '{ b = "22" , a="1",} 1'].map((rest) => {
      read(rest);
      return line.labelSetHash;
    });
    expect(new Set(hashes).size).toBe(1);
    read('{a="22",b="1"} 1');
    expect(line.labelSetHash).not.toBe(hashes[0]);
  });

  test("as many labels as allowed are read, one more is a problem", () => {
    const labels = (count: number): string => Array.from({ length: count }, (_, index) => `l${index}="x"`).join(",");
    expect(read(`{${labels(maxLabelsPerSample)}} 1`)).toBeUndefined();
    expect(read(`{${labels(maxLabelsPerSample + 1)}} 1`)).toBe(`more than ${maxLabelsPerSample} labels`);
  });
});

describe("malformed lines", () => {
  test.each([
    ["", "no value"],
    [" ", "no value"],
    ["{}", "no value"],
    ['{a="1"}', "no value"],
    [".b 1", 'expected "{" or a blank after the name, found "."'],
    ["+1", 'expected "{" or a blank after the name, found "+"'],
    [" x", 'value "x" is not a number'],
    [' {a="1"} {', 'value "{" is not a number'],
    [" 1\x00", 'value "1\\u0000" is not a number'],
    [" 1 x", 'timestamp "x" is not whole milliseconds'],
    [" 1 1.5", 'timestamp "1.5" is not whole milliseconds'],
    [" 1 1e3", 'timestamp "1e3" is not whole milliseconds'],
    [" 1 -", 'timestamp "-" is not whole milliseconds'],
    [" 1 99999999999999999999", 'timestamp "99999999999999999999" is not whole milliseconds'],
    [" 1 2 3", 'unexpected "3" after the timestamp'],
    ["{", 'expected "," or "}" after a label, found the end of the line'],
    ["{,} 1", 'expected a label name, found ","'],
    ['{a="1",,b="2"} 1', 'expected a label name, found ","'],
    ['{9="1"} 1', 'expected a label name, found "9"'],
    ['{a:b="1"} 1', 'expected "=" after a label name, found ":"'],
    ["{a} 1", 'expected "=" after a label name, found "}"'],
    ["{a", 'expected "=" after a label name, found the end of the line'],
    ["{a=1} 1", 'expected a quoted label value, found "1"'],
    ["{a=", "expected a quoted label value, found the end of the line"],
    ['{a="1', "label value without closing quote"],
    ['{a="1} 1', "label value without closing quote"],
    ['{a="1\\', 'unknown escape in a label value: "\\\\"'],
    ['{a="\\t"} 1', 'unknown escape in a label value: "\\\\t"'],
    ['{a="1" b="2"} 1', 'expected "," or "}" after a label, found "b"'],
    ['{a="1"', 'expected "," or "}" after a label, found the end of the line'],
    ['{a="1",b="2",a="1"} 1', 'label "a" given twice'],
  ])("%j: %s", (rest, problem) => {
    expect(read(rest)).toBe(problem);
  });

  test("an OpenMetrics timestamp must be a finite number", () => {
    expect(read(" 1 x", "openmetrics")).toBe('timestamp "x" is not seconds');
    expect(read(" 1 NaN", "openmetrics")).toBe('timestamp "NaN" is not seconds');
    expect(read(" 1 1e308", "openmetrics")).toBe('timestamp "1e308" is not seconds');
  });
});

describe("quoted", () => {
  test("cuts long texts and escapes what could harm a terminal or a log", () => {
    const text = `a\x1b[31m\x7f\xc2\x9b\xe2\x80\xae\xc3\xa9${"z".repeat(100)}`;
    const shown = quoted(text, 0, text.length);
    expect(shown).toBe(`"a\\u001b[31m\\u007f\\u009b\\u202eé${"z".repeat(26)}"...`);
  });
});
