import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MetricSpec, MetricSpecError, parseMetricSpec } from "./metric-spec.ts";

function parsed(text: string): [name: string, labels: Record<string, string>] {
  const spec = parseMetricSpec(text);
  if (!(spec instanceof MetricSpec)) throw new Error(spec?.message ?? "disabled");
  return [spec.name, Object.fromEntries(spec.labels.map(({ name, value }) => [name, value]))];
}

test("the empty text means disabled", () => {
  expect(parseMetricSpec("")).toBeUndefined();
});

describe("specs", () => {
  test.each([
    ["load", {}],
    ["vllm:num_requests_waiting", {}],
    ["load{}", {}],
    ["load{ }", {}],
    ["load{l=v}", { l: "v" }],
    ['load{l="v"}', { l: "v" }],
    ['load{l=v,l2="v2"}', { l: "v", l2: "v2" }],
    ["load{l=v,}", { l: "v" }],
    ["load{l=/v1/x:y;'z'}", { l: "/v1/x:y;'z'" }],
    ['load{l=""}', { l: "" }],
    ['load{l="a, b}"}', { l: "a, b}" }],
    [String.raw`load{l="q\"b\\n\nz"}`, { l: 'q"b\\n\nz' }],
    ["load{l=größe}", { l: "größe" }],
  ])("%s", (text, labels) => {
    expect(parsed(text)).toEqual([text.split("{")[0], labels]);
  });

  test("blanks may stand around every part", () => {
    expect(parsed('  load  {  a  =  v1  ,\tb\n=  "v 2"  ,  }  ')).toEqual(["load", { a: "v1", b: "v 2" }]);
    expect(parsed(" load ")).toEqual(["load", {}]);
  });
});

describe("errors", () => {
  test.each([
    ["  ", 3, "expected a metric name, the text ends"],
    ["{l=v}", 1, 'expected a metric name, found "{"'],
    ["9load", 1, 'expected a metric name, found "9"'],
    ["loadl=v}", 6, 'expected "{" or the end after the metric name, found "="'],
    ["lo-ad", 3, 'expected "{" or the end after the metric name, found "-"'],
    ["load more", 6, 'expected "{" or the end after the metric name, found "m"'],
    ["load{", 6, 'expected a label name or "}", the text ends'],
    ["load{=v}", 6, 'expected a label name or "}", found "="'],
    ["load{ = }", 7, 'expected a label name or "}", found "="'],
    ["load{,}", 6, 'expected a label name or "}", found ","'],
    ["load{a=1,,}", 10, 'expected a label name, found ","'],
    ["load{a:b=1}", 7, 'expected "=" after label "a", found ":"'],
    ["load{l}", 7, 'expected "=" after label "l", found "}"'],
    ["load{l", 7, 'expected "=" after label "l", the text ends'],
    ["load{l=}", 8, 'expected a value (write "" for an empty one), found "}"'],
    ["load{l=", 8, 'expected a value (write "" for an empty one), the text ends'],
    ["load{l=,a=b}", 8, 'expected a value (write "" for an empty one), found ","'],
    ["load{l=v", 9, 'expected "," or "}" after label "l", the text ends'],
    ["load{l=v w}", 10, 'expected "," or "}" after label "l", found "w"'],
    ['load{l=v"w"}', 9, 'expected "," or "}" after label "l", found "\\""'],
    ['load{l="v', 8, "no closing quote"],
    [String.raw`load{l="\t"}`, 9, String.raw`unknown escape; the escapes are \\, \" and \n`],
    ['load{l="v\\', 10, String.raw`unknown escape; the escapes are \\, \" and \n`],
    ["load{l=v}extra", 10, 'expected the end after "}", found "e"'],
    ["load{l=v}}", 10, 'expected the end after "}", found "}"'],
    ["load{l!=v}", 7, '"!=" is not possible here; write l=value'],
    ["load{l =~ v}", 8, '"=~" is not possible here; write l=value'],
    ["load{l!~v}", 7, '"!~" is not possible here; write l=value'],
    ["load{a=1,a=2}", 10, 'label "a" is given twice'],
    ["load{__name__=x}", 6, 'label names that start with "__" are reserved: "__name__"'],
    ["load{😀=1}", 6, 'expected a label name or "}", found "😀"'],
  ])("%j, column %i: %s", (text, column, what) => {
    const error = parseMetricSpec(text);
    expect(error).toBeInstanceOf(MetricSpecError);
    expect(error).toMatchObject({ text, column, what });
    expect((error as MetricSpecError).message).toBe(`metric spec ${JSON.stringify(text)}, column ${column}: ${what}`);
  });
});

const labelName = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_]{0,8}$/);
const spec = fc
  .tuple(
    fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,20}$/),
    fc.uniqueArray(fc.tuple(labelName, fc.string({ unit: "grapheme" })), { selector: ([name]) => name, maxLength: 5 }),
  )
  .map(([name, labels]) => new MetricSpec(name, labels));

test("every spec reads back from its own text", () => {
  fc.assert(
    fc.property(spec, (original) => {
      expect(parseMetricSpec(original.toString())).toEqual(original);
    }),
  );
});

test("any text gives a spec or an error with a column inside the text or at its end", () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'ab_:{}=,"\\ !~9') }));
  fc.assert(
    fc.property(text, (candidate) => {
      const result = parseMetricSpec(candidate);
      if (!(result instanceof MetricSpecError)) return;
      expect(result.column).toBeGreaterThanOrEqual(1);
      expect(result.column).toBeLessThanOrEqual(candidate.length + 1);
    }),
    { numRuns: 2000 },
  );
});
