import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { drawRevision, type RoleCounts, revisionShares } from "./revision-shares.ts";

const roles = ["prefill", "decode"];
const countsOf = (
  revisions: Readonly<Record<string, Readonly<Record<string, number>>>>,
): ReadonlyMap<string, RoleCounts> =>
  new Map(Object.entries(revisions).map(([revision, byRole]) => [revision, new Map(Object.entries(byRole))]));
const shares = (counts: ReadonlyMap<string, RoleCounts>, mode: "sum" | "max-role", required = roles) =>
  Object.fromEntries(revisionShares(counts, required, mode));

const rollout = countsOf({ a: { prefill: 2, decode: 9 }, b: { prefill: 1, decode: 1 } });

describe("shares", () => {
  // Computed from the rules in the spec, section E: weights 11 and 2; then 9 and 1, as decode is the larger role.
  test("sum weighs by the Pods of all required roles", () => {
    expect(shares(rollout, "sum")).toEqual({ a: 11 / 13, b: 2 / 13 });
  });

  test("max-role weighs by the role that is largest over all revisions", () => {
    expect(shares(rollout, "max-role")).toEqual({ a: 0.9, b: 0.1 });
  });

  test("of roles of equal size the first required one counts", () => {
    const equal = countsOf({ a: { prefill: 3, decode: 1 }, b: { prefill: 1, decode: 3 } });
    expect(shares(equal, "max-role", ["prefill", "decode"])).toEqual({ a: 0.75, b: 0.25 });
    expect(shares(equal, "max-role", ["decode", "prefill"])).toEqual({ a: 0.25, b: 0.75 });
  });

  test("a revision without one of the roles gets nothing, and its Pods do not count for the largest role", () => {
    const partial = countsOf({ a: { prefill: 4, decode: 2 }, b: { prefill: 1, decode: 3 }, c: { decode: 100 } });
    expect(shares(partial, "sum")).toEqual({ a: 0.6, b: 0.4, c: 0 });
    expect(shares(partial, "max-role")).toEqual({ a: 0.8, b: 0.2, c: 0 });
  });

  test("Pods of other roles do not count", () => {
    const extra = countsOf({ a: { prefill: 1, decode: 1, router: 50 }, b: { prefill: 1, decode: 1 } });
    expect(shares(extra, "sum")).toEqual({ a: 0.5, b: 0.5 });
  });

  test("without a complete revision nobody gets anything", () => {
    expect(shares(countsOf({ a: { prefill: 1 }, b: { decode: 1 } }), "sum")).toEqual({ a: 0, b: 0 });
    expect(shares(countsOf({}), "max-role")).toEqual({});
  });

  test("property: shares are 0 for incomplete revisions and otherwise add up to 1", () => {
    const byRole = fc.dictionary(fc.constantFrom("prefill", "decode", "encode"), fc.nat(20));
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom("a", "b", "c", "d"), byRole),
        fc.constantFrom<"sum" | "max-role">("sum", "max-role"),
        (revisions, mode) => {
          const counts = countsOf(revisions);
          const given = revisionShares(counts, roles, mode);
          const complete = [...counts].filter(([, pods]) => roles.every((role) => (pods.get(role) ?? 0) > 0));
          expect([...given].filter(([, share]) => share > 0).map(([name]) => name)).toEqual(
            complete.map(([name]) => name),
          );
          const total = [...given.values()].reduce((sum, share) => sum + share, 0);
          if (complete.length > 0) expect(total).toBeCloseTo(1, 9);
        },
      ),
    );
  });
});

describe("draw", () => {
  const two = new Map([
    ["b", 0.25],
    ["a", 0.75],
    ["c", 0],
  ]);

  test.each([
    [0, "a"],
    [0.74, "a"],
    [0.75, "b"],
    [0.999999, "b"],
  ])("%d takes %j: revisions lie in the order of their names", (draw, revision) => {
    expect(drawRevision(two, draw)).toBe(revision);
  });

  test("shares need not add up to 1", () => {
    const part = new Map([
      ["a", 0.1],
      ["b", 0.1],
    ]);
    expect(drawRevision(part, 0.49)).toBe("a");
    expect(drawRevision(part, 0.51)).toBe("b");
  });

  test("without a share there is nothing to draw", () => {
    expect(drawRevision(new Map([["a", 0]]), 0.5)).toBeUndefined();
    expect(drawRevision(new Map(), 0.5)).toBeUndefined();
  });

  test("property: what is drawn has a share", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 6 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (values, draw) => {
          const given = new Map(values.map((share, i) => [`r${i}`, share]));
          const drawn = drawRevision(given, draw);
          if (drawn === undefined) expect(values.every((share) => share === 0)).toBe(true);
          else expect(given.get(drawn)).toBeGreaterThan(0);
        },
      ),
    );
  });
});
