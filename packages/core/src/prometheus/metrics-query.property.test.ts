import fc from "fast-check";
import { expect, test } from "vitest";
import type { MetricsPage } from "./metrics-page.ts";
import { MetricsQuery } from "./metrics-query.ts";

interface ModelSample {
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly value: number;
  readonly timestampMs: number | undefined;
}

interface ModelFamily {
  readonly name: string;
  readonly type: "counter" | "gauge" | "untyped" | undefined;
  readonly samples: readonly ModelSample[];
}

/** Choices of spelling, used up one after the other while a page is written. */
type Spelling = () => number;

const names = [
  "load",
  "load_total",
  "load_total_x",
  "load:sum",
  "vllm:waiting",
  "vllm:waiting_by_reason",
  "l",
  "_",
  ":x",
];
const metricName = fc.oneof(fc.constantFrom(...names), fc.stringMatching(/^[a-z_:][a-z0-9_:]{0,6}$/));
const labelName = fc.oneof(
  fc.constantFrom("engine", "a", "le", "load"),
  fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,5}$/),
);
const labelValue = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom('"', "\\", "\n", "\r", "{", "}", ",", "=", "#", " ", "load 1", "\nload 1\n"),
    maxLength: 8,
  }),
);
const value = fc.oneof(fc.double(), fc.integer({ min: -1000, max: 1000 }), fc.constantFrom(0, -0, 0.25, Number.NaN));

const sample: fc.Arbitrary<ModelSample> = fc.record({
  labels: fc.uniqueArray(fc.tuple(labelName, labelValue), { selector: ([name]) => name, maxLength: 5 }),
  value,
  timestampMs: fc.option(fc.integer({ min: -1000, max: 2_000_000_000_000 }), { nil: undefined, freq: 3 }),
});

function labelSet(labels: ModelSample["labels"]): string {
  return JSON.stringify(labels.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

const family: fc.Arbitrary<ModelFamily> = fc.record({
  name: metricName,
  type: fc.constantFrom("counter" as const, "gauge" as const, "untyped" as const, undefined),
  samples: fc.uniqueArray(sample, { selector: ({ labels }) => labelSet(labels), maxLength: 6 }),
});

const families = fc.uniqueArray(family, { selector: ({ name }) => name, maxLength: 7 });
const choices = fc.array(fc.nat(1000), { minLength: 40, maxLength: 200 });

function spellingOf(numbers: readonly number[]): Spelling {
  let at = 0;
  return () => numbers[at++ % numbers.length]!;
}

function pick<T>(spelling: Spelling, options: readonly T[]): T {
  return options[spelling() % options.length]!;
}

function gap(spelling: Spelling): string {
  return pick(spelling, ["", "", "", " ", "\t", " \t "]);
}

function number(spelling: Spelling, wanted: number): string {
  if (Number.isNaN(wanted)) return pick(spelling, ["NaN", "nan", "NAN"]);
  if (wanted === Number.POSITIVE_INFINITY) return pick(spelling, ["+Inf", "Inf", "inf", "+Infinity"]);
  if (wanted === Number.NEGATIVE_INFINITY) return pick(spelling, ["-Inf", "-infinity"]);
  const plain = Object.is(wanted, -0) ? "-0" : String(wanted);
  return pick(spelling, [
    plain,
    wanted < 0 || plain === "-0" ? plain : `+${plain}`,
    plain === "-0" ? plain : wanted.toExponential(),
  ]);
}

function sampleLine(spelling: Spelling, name: string, { labels, value: wanted, timestampMs }: ModelSample): string {
  const s = spelling;
  const pairs = labels.map(([label, text]) => {
    const escaped = text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
    return `${gap(s)}${label}${gap(s)}=${gap(s)}"${escaped}"${gap(s)}`;
  });
  const lastComma = pairs.length > 0 ? pick(s, ["", "", `,${gap(s)}`]) : gap(s);
  const braces =
    pairs.length > 0 || s() % 2 === 0
      ? `${gap(s)}{${pairs.join(",")}${lastComma}}${gap(s)}`
      : pick(s, [" ", "\t", "  "]);
  const time = timestampMs === undefined ? "" : `${pick(s, [" ", "\t"])}${timestampMs}`;
  return `${gap(s)}${name}${braces}${number(s, wanted)}${time}${gap(s)}`;
}

const noise = [
  "",
  "   ",
  "# load 1",
  "#",
  "# HELP load Text with load 1 and vllm:waiting 2",
  "# TYPE other histogram",
  'other_metric_bucket{le="+Inf",load="load"} 3',
  'other_metric{text="\\nload 1\\n"} 3',
  "other_metric_malformed{ 3",
];

function familyLines(spelling: Spelling, { name, type, samples }: ModelFamily): string[] {
  const lines: string[] = [];
  if (spelling() % 2 === 0) lines.push(`# HELP ${name} Some text, ${name} 7`);
  if (type !== undefined) {
    lines.push(`${gap(spelling)}#${gap(spelling)}TYPE ${gap(spelling)}${name} ${gap(spelling)}${type}${gap(spelling)}`);
  }
  for (const entry of samples) {
    if (spelling() % 4 === 0) lines.push(pick(spelling, noise));
    lines.push(sampleLine(spelling, name, entry));
  }
  return lines;
}

function pageText(spelling: Spelling, model: readonly ModelFamily[]): string {
  const lineEnd = pick(spelling, ["\n", "\n", "\r\n"]);
  const lines = ["# HELP first The first line of the page.", ...model.flatMap((entry) => familyLines(spelling, entry))];
  return lines.join(lineEnd) + pick(spelling, ["", lineEnd]);
}

function found(page: MetricsPage): unknown {
  return page.families.map(({ name, type, samples }) => ({
    name,
    type,
    samples: samples.map((entry) => ({
      labels: [...entry.labels()],
      value: entry.value,
      timestampMs: entry.timestampMs,
    })),
  }));
}

/** What a page with the model's families states under the wanted names. */
function expected(model: readonly ModelFamily[], wanted: readonly string[]): unknown {
  return wanted.map((name) => model.find((entry) => entry.name === name) ?? { name, type: undefined, samples: [] });
}

test("the samples found are those the page was written from, in every spelling of the format", () => {
  fc.assert(
    fc.property(families, choices, fc.uniqueArray(metricName, { maxLength: 3 }), (model, numbers, others) => {
      const spelling = spellingOf(numbers);
      const wanted = [...new Set([...model.filter(() => spelling() % 3 !== 0).map(({ name }) => name), ...others])];
      const query = new MetricsQuery(wanted);
      const bytes = Buffer.from(pageText(spelling, model));
      const page = query.scan(bytes);
      expect(page.garbage).toBeUndefined();
      expect(page.problems).toEqual([]);
      expect(found(page)).toEqual(expected(model, wanted));
      expect(found(query.scan(bytes))).toEqual(found(page));
    }),
    { numRuns: 500 },
  );
});

test("the order of the families on the page and in the query does not matter", () => {
  const orders = fc.tuple(families, choices, fc.infiniteStream(fc.nat()));
  fc.assert(
    fc.property(orders, ([model, numbers, keys]) => {
      const shuffled = <T>(list: readonly T[]): T[] =>
        list
          .map((entry) => ({ entry, key: keys.next().value as number }))
          .toSorted((a, b) => a.key - b.key)
          .map(({ entry }) => entry);
      const wanted = model.map(({ name }) => name);
      const straight = new MetricsQuery(wanted).scan(Buffer.from(pageText(spellingOf(numbers), model)));
      const mixed = new MetricsQuery(shuffled(wanted)).scan(
        Buffer.from(pageText(spellingOf(numbers), shuffled(model))),
      );
      for (const name of wanted) {
        expect(found({ ...straight, families: [mixed.family(name)!] })).toEqual(
          found({ ...straight, families: [straight.family(name)!] }),
        );
      }
    }),
    { numRuns: 200 },
  );
});

test("lines broken at random cost at most their own samples", () => {
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 8 }), choices, (samples, numbers) => {
      const spelling = spellingOf(numbers);
      const numbered = samples.map((entry, index) => ({
        ...entry,
        labels: [...entry.labels.filter(([name]) => name !== "index"), ["index", String(index)] as const],
      }));
      const broken = new Set<number>();
      const lines = numbered.map((entry, index) => {
        const line = sampleLine(spelling, "load", entry);
        if (spelling() % 2 === 0) return line;
        broken.add(index);
        // None of these can be part of a valid line at this place.
        return pick(spelling, [
          `${line} x`,
          line.replace("{", "{{"),
          line.replace("{", "{,"),
          line.replace(/}([^}]*)$/, "} ?$1"),
        ]);
      });
      const page = new MetricsQuery(["load"]).scan(Buffer.from(`# HELP load x\n${lines.join("\n")}`));
      const indices = page.families[0]!.samples.map((entry) => Number(entry.label("index")));
      expect(indices).toEqual([...numbered.keys()].filter((index) => !broken.has(index)));
      expect(page.problems.map(({ line }) => line - 2)).toEqual([...broken]);
    }),
    { numRuns: 300 },
  );
});

const query = new MetricsQuery(["load", "l", "vllm:waiting"]);

function readEverything(bytes: Uint8Array): void {
  for (const options of [{}, { format: "openmetrics" as const }, { cutOff: true }]) {
    const page = query.scan(bytes, options);
    found(page);
    expect(page.problems.length).toBeLessThanOrEqual(page.problemCount);
    if (page.garbage !== undefined) expect(page.families.every(({ samples }) => samples.length === 0)).toBe(true);
  }
}

test("random bytes are read to the end without an error", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), readEverything), { numRuns: 2000 });
});

test("random pieces of the format are read to the end without an error", () => {
  const pieces = [
    "load",
    "l",
    "vllm:waiting",
    "{",
    "}",
    '"',
    "\\",
    "=",
    ",",
    " ",
    "\t",
    "\n",
    "\r\n",
    "#",
    "# TYPE ",
    "gauge",
    "1",
    "-",
    "e9",
    "NaN",
    "\0",
    "é",
    "# EOF",
  ];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 80 }).map((parts) => Buffer.from(parts.join("")));
  fc.assert(fc.property(text, readEverything), { numRuns: 5000 });
});

test("a valid page with a few bytes changed is read to the end without an error", () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 10 });
  fc.assert(
    fc.property(families, choices, changes, (model, numbers, edits) => {
      const bytes = Buffer.from(pageText(spellingOf(numbers), model));
      for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
      readEverything(bytes);
    }),
    { numRuns: 500 },
  );
});
