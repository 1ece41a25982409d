import fc from "fast-check";
import { expect, test } from "vitest";
import { SHORTEST_SPAN, SpanRecorder } from "./skip-spans.ts";

test("the ends of long values are found in any order, and no others", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 400 }), { minLength: 1, maxLength: 60 }), fc.array(fc.nat()), (gaps, order) => {
      const recorder = new SpanRecorder();
      const ends = new Map<number, number>();
      let at = 0;
      for (const gap of gaps) {
        at += 1 + gap;
        ends.set(at, gap % 2 === 0 ? at + 200 : ~(at + 200));
        recorder.addLeaf(at, ends.get(at) ?? 0);
      }
      const spans = recorder.take();
      const starts = [...ends.keys()];
      for (const start of starts) expect(spans.endOf(start)).toBe(ends.get(start));
      for (const choice of order) {
        const start = (starts[choice % starts.length] ?? 0) + (choice % 3) - 1;
        expect(spans.endOf(start)).toBe(ends.get(start));
      }
    }),
  );
});

test("a short container gives its place back with all inside it", () => {
  const recorder = new SpanRecorder();
  const outer = recorder.open(0);
  const short = recorder.open(10);
  recorder.addLeaf(12, 20);
  recorder.close(short, 10 + SHORTEST_SPAN - 1);
  const long = recorder.open(300);
  recorder.close(long, 300 + SHORTEST_SPAN);
  recorder.close(outer, 500);
  const spans = recorder.take();
  expect([0, 10, 12, 300].map((start) => spans.endOf(start))).toEqual([500, undefined, undefined, 300 + SHORTEST_SPAN]);
});

test("values beyond the number of spans have none and change no other", () => {
  const recorder = new SpanRecorder();
  const outer = recorder.open(0);
  for (let start = 1; start <= 65_600; start++) recorder.addLeaf(start, start + 200);
  const late = recorder.open(70_000);
  recorder.close(late, 71_000);
  const half = recorder.take();
  expect([half.endOf(0), half.endOf(1), half.endOf(65_535)]).toEqual([0, 201, 65_735]);
  recorder.close(outer, 80_000);
  const spans = recorder.take();
  expect([0, 1, 65_535, 65_536, 70_000].map((start) => spans.endOf(start))).toEqual([
    80_000,
    201,
    65_735,
    undefined,
    undefined,
  ]);
});

test("a recorder starts empty after a reset", () => {
  const recorder = new SpanRecorder();
  recorder.addLeaf(5, 300);
  recorder.reset();
  recorder.addLeaf(7, 400);
  const spans = recorder.take();
  expect([spans.endOf(5), spans.endOf(7)]).toEqual([undefined, 400]);
});
