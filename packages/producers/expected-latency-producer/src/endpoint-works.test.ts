import { buildEndpoint } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { EndpointWorks } from "./endpoint-works.ts";
import { PoolModel } from "./pool-model.ts";

test("an endpoint that goes counts no longer for what is usual in the pool", () => {
  const model = new PoolModel();
  const endpoints = [buildEndpoint(0), buildEndpoint(1)];
  const works = new EndpointWorks(model, () => endpoints);
  for (let i = 0; i < 60; i++) {
    for (const endpoint of endpoints) {
      const work = works.of(endpoint);
      const factor = endpoint === endpoints[0] ? 4 : 1;
      work.observe(Math.log(factor / work.speed.prefill), 1, 0.05, i * 100);
    }
  }
  expect(model.usualPrefill).toBeGreaterThan(1.8);
  works.delete(endpoints[0]!);
  expect(model.usualPrefill).toBeCloseTo(1, 9);
  works.delete(endpoints[0]!);
  expect(model.usualPrefill).toBeCloseTo(1, 9);
});

const plan = { promptTokens: 500, cachedTokens: 0, newTokens: 0, prefillMs: 50, ttftMs: 0, sentAtMs: 0, streams: true };

test("what ends on an endpoint that has gone changes nothing for the one that got its place in the table", () => {
  const [first, second, third] = [buildEndpoint(0), buildEndpoint(1), buildEndpoint(2)];
  const works = new EndpointWorks(new PoolModel(), () => [first, second, third]);
  const leaving = works.of(first);
  const begun = leaving.send(plan);
  works.of(second).send(plan);
  works.delete(first);
  const { table, rows, works: records } = works.ofAll([second, third]);
  expect([...rows]).toEqual([1, 0]);
  expect([table.present(rows[0]!), table.present(rows[1]!)]).toEqual([1, 0]);
  records[1]!.send(plan);
  leaving.firstToken(begun, 60);
  leaving.end(begun, 10, 200);
  expect([table.present(rows[0]!), table.present(rows[1]!)]).toEqual([1, 1]);
  expect(table.queuedTokens[rows[1]!]).toBe(500);
  expect(leaving.present).toBe(0);
});

test("an endpoint that is asked for after it has gone counts as one with nothing on it, and is not kept", () => {
  const [here, gone] = [buildEndpoint(0), buildEndpoint(1)];
  const works = new EndpointWorks(new PoolModel(), () => [here]);
  works.of(here).send(plan);
  for (let i = 0; i < 5; i++) {
    const { table, rows, works: records } = works.ofAll(i % 2 === 0 ? [gone, here] : [here, gone]);
    expect(Array.from(rows, (row) => table.present(row)).sort()).toEqual([0, 1]);
    expect(Math.max(...rows)).toBeLessThan(2);
    for (const [index, record] of records.entries()) expect(record.row).toBe(rows[index]);
  }
  expect(works.size).toBe(1);
});

test("a list like the one before is not looked at again, and one of other endpoints is", () => {
  const endpoints = [buildEndpoint(0), buildEndpoint(1)];
  const works = new EndpointWorks(new PoolModel(), () => endpoints);
  const first = works.ofAll(endpoints);
  expect(works.ofAll([...endpoints])).toBe(first);
  expect(works.ofAll([endpoints[1]!])).toMatchObject({ slotTableLength: 2, slots: Uint32Array.of(1) });
  works.delete(endpoints[0]!);
  expect(works.ofAll(endpoints)).not.toBe(first);
});
