import fc from "fast-check";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { expect, test } from "vitest";
import { createPrometheusMetrics } from "./index.ts";

const labelNames = ["model", "status"];
const buckets = [0.1, 1, 2.5, 10];

/** A value for one of the metrics, or the removal of a series. */
interface Step {
  readonly metric: "counter" | "gauge" | "histogram";
  readonly labelled: boolean;
  readonly how: "inc" | "dec" | "set" | "remove";
  readonly values: readonly [string, string];
  readonly amount: number;
  /** Whether to use a child that was made before rather than to ask for one. */
  readonly keepsChild: boolean;
}

/** Few pairs, so that steps meet the same series; the first two would collide if values were joined without care. */
const labelPairs = fc.constantFrom<readonly [string, string]>(
  ["a", "b:c"],
  ["a:b", "c"],
  ["", ""],
  ['quo"te', "line\nbreak \\ \u00fc \u{1f600}"],
);
const step: fc.Arbitrary<Step> = fc.record({
  metric: fc.constantFrom("counter", "gauge", "histogram"),
  labelled: fc.boolean(),
  how: fc.constantFrom("inc", "dec", "set", "remove"),
  values: labelPairs,
  amount: fc.oneof(fc.constantFrom(0, 0.1, 1, 2.5, 10, 11), fc.double({ min: 0, max: 1e9, noNaN: true })),
  keepsChild: fc.boolean(),
});

interface Child {
  inc?(amount?: number): void;
  dec?(amount?: number): void;
  set?(value: number): void;
  observe?(value: number): void;
}

/** Takes one step on a metric; `children` keeps what `labels` gave. */
function take(
  { how, labelled, values, amount, keepsChild, metric }: Step,
  family: { labels(...values: string[]): Child; remove(...values: string[]): void },
  children: Map<string, Child>,
): void {
  const labels = labelled ? values : [];
  if (how === "remove") {
    // prom-client forgets the series of a metric without labels; nothing here removes one.
    if (labelled) family.remove(...labels);
    return;
  }
  const id = JSON.stringify([metric, labels]);
  const child = (keepsChild ? children.get(id) : undefined) ?? family.labels(...labels);
  children.set(id, child);
  if (metric === "histogram") child.observe!(how === "dec" ? -amount : amount);
  else if (metric === "counter") child.inc!(how === "set" ? undefined : amount);
  else if (how === "set") child.set!(amount);
  else if (how === "dec") child.dec!(amount);
  else child.inc!(amount);
}

test("the page equals the one of prom-client's own metrics after any values and removals", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const registry = new Registry();
      const metrics = createPrometheusMetrics({ processMetrics: false });
      const theirs = new Map<string, { labels(...values: string[]): Child; remove(...values: string[]): void }>();
      const ours: typeof theirs = new Map();
      for (const labelled of [true, false]) {
        const names = labelled ? labelNames : [];
        const of = (name: string) => ({
          name: `${name}_${labelled ? "by_label" : "plain"}`,
          help: "Help \\ with\nbreak.",
          labelNames: names,
        });
        const help = (name: string) => ({ ...of(name), help: `[ALPHA] ${of(name).help}`, registers: [registry] });
        theirs.set(`counter${labelled}`, new Counter(help("c_total")));
        theirs.set(`gauge${labelled}`, new Gauge(help("g")));
        theirs.set(`histogram${labelled}`, new Histogram({ ...help("h_seconds"), buckets }));
        ours.set(`counter${labelled}`, metrics.counter(of("c_total")));
        ours.set(`gauge${labelled}`, metrics.gauge(of("g")));
        ours.set(`histogram${labelled}`, metrics.histogram({ ...of("h_seconds"), buckets }));
      }
      const theirChildren = new Map<string, Child>();
      const ourChildren = new Map<string, Child>();
      for (const each of steps) {
        take(each, theirs.get(`${each.metric}${each.labelled}`)!, theirChildren);
        take(each, ours.get(`${each.metric}${each.labelled}`)!, ourChildren);
      }
      expect(await metrics.page()).toBe(await registry.metrics());
    }),
    { numRuns: 300 },
  );
});

test("special values of a gauge are on the page in Prometheus' notation", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const gauge = metrics.gauge({ name: "g", help: "G.", labelNames: ["x"] });
  const shown = { a: Number.NaN, b: Number.POSITIVE_INFINITY, c: Number.NEGATIVE_INFINITY, d: -0, e: 1e21, f: 1e-7 };
  for (const [label, value] of Object.entries(shown)) gauge.labels(label).set(value);
  expect((await metrics.page()).split("\n").slice(2)).toEqual([
    'g{x="a"} NaN',
    'g{x="b"} +Inf',
    'g{x="c"} -Inf',
    'g{x="d"} 0',
    'g{x="e"} 1e+21',
    'g{x="f"} 1e-7',
    "",
  ]);
});

test("process metrics stand ahead of the others", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: true });
  metrics.counter({ name: "a_total", help: "A." }).labels().inc(2);
  const page = await metrics.page();
  expect(page).toMatch(/^# HELP process_cpu_user_seconds_total /);
  expect(page).toMatch(/[^\n]\n\n# HELP a_total \[ALPHA\] A\.\n# TYPE a_total counter\na_total 2\n$/);
});

test("a page with many series comes in pieces, and other work gets its turn between two of them", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: false, deprecatedNames: true });
  const family = metrics.histogram({
    name: "llm_d_epp_request_size_bytes",
    help: "Sizes.",
    labelNames: ["model_name", "target_model_name"],
    buckets: Array.from({ length: 30 }, (_, at) => at),
  });
  for (let i = 0; i < 1000; i++) family.labels(`model-${i}`, `model-${i}`).observe(i % 40);
  const whole = await metrics.page();
  let turns = 0;
  let pieces = 0;
  let text = "";
  for await (const piece of metrics.pieces()) {
    pieces++;
    text += piece;
    expect(piece.length).toBeLessThan(80_000);
    if (turns === pieces - 1) setImmediate(() => turns++);
  }
  expect(text).toBe(whole);
  expect(text.length).toBeGreaterThan(3_000_000);
  expect(pieces).toBeGreaterThan(40);
  expect(turns).toBe(pieces - 1);
});

test("what is computed for the page is computed before its first piece", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const gauge = metrics.gauge({ name: "b", help: "B." }).labels();
  metrics.beforePage(() => {
    throw new Error("no figures");
  });
  gauge.set(1);
  expect(() => metrics.pieces()).toThrow("no figures");
});

test("a value that would spoil a series is refused and changes nothing", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const counter = metrics.counter({ name: "a_total", help: "A." }).labels();
  const histogram = metrics.histogram({ name: "b", help: "B.", buckets: [1] }).labels();
  for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY]) expect(() => counter.inc(bad)).toThrow(/a_total/);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) expect(() => histogram.observe(bad)).toThrow(/histogram b/);
  expect(await metrics.page()).toContain("\na_total 0\n");
  expect(await metrics.page()).toContain("\nb_count 0\n");
});

test("a metric that cannot be is refused", () => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  metrics.counter({ name: "a_total", help: "A.", labelNames: ["x"] });
  expect(() => metrics.gauge({ name: "a_total", help: "A." })).toThrow("metric a_total is a counter, not a gauge");
  expect(() => metrics.counter({ name: "a_total", help: "A." }).labels()).toThrow("has 1 labels, not 0");
  expect(() => metrics.gauge({ name: "a b", help: "A." })).toThrow('"a b" is not a metric name');
  expect(() => metrics.gauge({ name: "b", help: "B.", labelNames: ["1"] })).toThrow('"1" is not a label name');
  expect(() => metrics.histogram({ name: "c", help: "C.", labelNames: ["le"], buckets: [1] })).toThrow('label "le"');
  expect(() => metrics.histogram({ name: "d", help: "D.", buckets: [2, 1] })).toThrow("do not ascend");
});

test("a label value that would break the page or another's line is shown with U+FFFD, in one series", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const family = metrics.counter({ name: "a_total", help: "A.", labelNames: ["x"] });
  for (const value of ["a\0", "a\ud800", "a\udfff", "\u{1f600}"]) family.labels(value).inc();
  const shown = Buffer.from(await metrics.page()).toString();
  expect(shown.split("\n").slice(2, -1)).toEqual(['a_total{x="a\ufffd"} 3', 'a_total{x="\u{1f600}"} 1']);
  family.remove("a\0");
  expect(await metrics.page()).not.toContain("a\ufffd");
});
