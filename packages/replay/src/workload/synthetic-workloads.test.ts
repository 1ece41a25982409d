import { expect, test } from "vitest";
import { hotPrefixRequests, multiTurnRequests, sharedPrefixRequests } from "./synthetic-workloads.ts";

test.each([
  ["shared-prefix", sharedPrefixRequests],
  ["multi-turn", multiTurnRequests],
  ["hot-prefix", hotPrefixRequests],
])("%s: as many requests as asked for, equal for equal seeds, about one start a second", (_, make) => {
  const outlines = make(600, 1);
  expect(outlines).toHaveLength(600);
  expect(make(600, 1)).toEqual(outlines);
  expect(make(600, 2)).not.toEqual(outlines);
  const starts = outlines.filter(({ follows }) => follows === undefined);
  expect(starts.at(-1)!.atMs / starts.length / 1000).toBeCloseTo(1, 0);
});

test("a turn repeats what was said before it, the answer included, and follows that answer", () => {
  const outlines = multiTurnRequests(200, 1);
  const later = outlines.flatMap((outline, index) => (outline.follows === undefined ? [] : [{ outline, index }]));
  expect(later.length).toBeGreaterThan(50);
  for (const { outline, index } of later) {
    const before = outlines[outline.follows!]!;
    expect(outline.follows).toBeLessThan(index);
    expect(outline.session).toBe(before.session);
    expect(outline.prompt.slice(0, before.prompt.length)).toEqual(before.prompt);
    expect(outline.prompt[before.prompt.length]).toEqual({ ...before.output, role: "assistant" });
    expect(outline.prompt.at(-1)!.role).toBe("user");
  }
});

test("a third of the hot prefixes' requests share one prefix", () => {
  const counts = new Map<number, number>();
  for (const { prompt } of hotPrefixRequests(3000, 1)) counts.set(prompt[0]!.id, (counts.get(prompt[0]!.id) ?? 0) + 1);
  expect(Math.max(...counts.values()) / 3000).toBeGreaterThan(0.25);
  expect(Math.max(...counts.values()) / 3000).toBeLessThan(0.4);
});
