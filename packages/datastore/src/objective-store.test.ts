import { type Logger, silentLogger } from "@pointsman/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { maxObjectives, ObjectiveStore } from "./objective-store.ts";

function build() {
  const log: string[] = [];
  const write = (_fields: object, message: string) => void log.push(message);
  const logger: Logger = { ...silentLogger, warn: write, error: write };
  return { store: new ObjectiveStore({ logger }), log };
}

test("an objective has its priority, 0 without one, and none when it is not known", () => {
  const { store } = build();
  store.set({ name: "chat", priority: 10 });
  store.set({ name: "plain", priority: undefined });
  expect([store.priorityOf("chat"), store.priorityOf("plain"), store.priorityOf("other")]).toEqual([10, 0, undefined]);
  store.set({ name: "chat", priority: -1 });
  store.delete("plain");
  expect([store.priorityOf("chat"), store.priorityOf("plain")]).toEqual([-1, undefined]);
  store.replaceAll([
    { name: "a", priority: 1 },
    { name: "a", priority: 2 },
  ]);
  expect([store.priorityOf("chat"), store.priorityOf("a"), store.size]).toEqual([undefined, 2, 1]);
});

test("listeners hear of the distinct stated priorities, highest first, when they change", () => {
  const { store } = build();
  const heard: (readonly number[])[] = [];
  store.set({ name: "a", priority: 1 });
  const end = store.subscribe((priorities) => heard.push(priorities));
  store.set({ name: "b", priority: 5 });
  store.set({ name: "c", priority: 5 });
  store.set({ name: "d", priority: undefined });
  store.delete("b");
  store.delete("c");
  end();
  store.delete("a");
  expect(heard).toEqual([[1], [5, 1], [1]]);
  expect(store.priorities).toEqual([]);
});

test("a listener that throws harms nobody", () => {
  const { store, log } = build();
  const heard: number[] = [];
  store.subscribe(() => {
    throw new Error("broken");
  });
  store.subscribe(([highest]) => highest !== undefined && heard.push(highest));
  store.set({ name: "a", priority: 3 });
  expect(heard).toEqual([3]);
  expect(log).toEqual(Array(2).fill("a listener failed on a change of priorities"));
});

test("there is a bound, which is told of once; known ones change beyond it", () => {
  const { store, log } = build();
  store.replaceAll(Array.from({ length: maxObjectives + 5 }, (_, i) => ({ name: `o${i}`, priority: i })));
  expect(store.size).toBe(maxObjectives);
  expect(log).toHaveLength(1);
  store.set({ name: "o0", priority: 7 });
  expect(store.priorityOf("o0")).toBe(7);
  store.delete("o1");
  store.set({ name: "late", priority: 1 });
  expect(store.priorityOf("late")).toBe(1);
});

test("whatever is set and deleted, the priorities are those of what is left", () => {
  const name = fc.constantFrom("a", "b", "c");
  const step = fc.record({
    name,
    priority: fc.option(fc.integer({ min: -2, max: 2 }), { nil: undefined }),
    gone: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const { store } = build();
      const left = new Map<string, number | undefined>();
      for (const { name: each, priority, gone } of steps) {
        if (gone) {
          store.delete(each);
          left.delete(each);
        } else {
          store.set({ name: each, priority });
          left.set(each, priority);
        }
      }
      const stated = [...left.values()].filter((each) => each !== undefined);
      expect(store.priorities).toEqual([...new Set(stated)].sort((a, b) => b - a));
      for (const each of ["a", "b", "c"]) {
        expect(store.priorityOf(each)).toBe(left.has(each) ? (left.get(each) ?? 0) : undefined);
      }
    }),
  );
});

test("the priorities told are those of the objectives, whatever was set, deleted and replaced", () => {
  const priority = fc.option(fc.integer({ min: -3, max: 3 }), { nil: undefined });
  const objective = fc.record({ name: fc.constantFrom("a", "b", "c", "d"), priority });
  const step = fc.oneof(
    objective.map((set) => ({ set })),
    fc.constantFrom("a", "b", "c", "d", "e").map((drop) => ({ drop })),
    fc.array(objective, { maxLength: 5 }).map((all) => ({ all })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const store = new ObjectiveStore({ logger: silentLogger });
      const model = new Map<string, number | undefined>();
      const told: (readonly number[])[] = [];
      store.subscribe((priorities) => told.push(priorities));
      for (const each of steps) {
        if ("set" in each) {
          store.set(each.set);
          model.set(each.set.name, each.set.priority);
        } else if ("drop" in each) {
          store.delete(each.drop);
          model.delete(each.drop);
        } else {
          store.replaceAll(each.all);
          model.clear();
          for (const { name, priority: given } of each.all) model.set(name, given);
        }
        const distinct = [...new Set([...model.values()].filter((given) => given !== undefined))];
        expect(store.priorities).toEqual(distinct.sort((a, b) => b - a));
        expect(told.at(-1)).toEqual(store.priorities);
      }
      for (let i = 1; i < told.length; i++) expect(told[i]).not.toEqual(told[i - 1]);
    }),
  );
});

test("a change among ten thousand objectives does not look at the others", () => {
  const store = new ObjectiveStore({ logger: silentLogger });
  store.replaceAll(Array.from({ length: maxObjectives }, (_, i) => ({ name: `o${i}`, priority: i % 10 })));
  let looks = 0;
  const counted = (name: string) => ({
    name,
    get priority() {
      looks++;
      return 1;
    },
  });
  for (let i = 0; i < 1000; i++) store.set(counted(`o${i}`));
  expect(looks).toBeLessThan(10_000);
});
