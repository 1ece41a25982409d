import { expect, test } from "vitest";
import { buildEndpoint, buildRequest, named } from "../../test/testkit.ts";
import type { Endpoint } from "../endpoint.ts";
import { admitAll, shedWhenSaturated } from "./admission.ts";

const endpoints = [buildEndpoint(0)];

function shed(saturation: number, priority: number) {
  const asked: { readonly endpoints: readonly Endpoint[]; readonly nowMs: number }[] = [];
  const detector = named({
    saturation: (list: readonly Endpoint[], nowMs: number) => {
      asked.push({ endpoints: list, nowMs });
      return saturation;
    },
  });
  const outcome = shedWhenSaturated(detector, () => endpoints).admit(buildRequest({ priority, nowMs: 77 }));
  return { outcome, asked };
}

test.each([1, 1.5, Number.POSITIVE_INFINITY])("a negative priority is shed at saturation %d", (saturation) => {
  const { outcome, asked } = shed(saturation, -1);
  expect(outcome).toMatchObject({
    code: "ResourceExhausted",
    message: "system saturated, sheddable request dropped",
    reason: "rejected-saturated",
  });
  expect(asked).toEqual([{ endpoints, nowMs: 77 }]);
});

test("a negative priority passes below saturation 1", () => {
  expect(shed(0.999, -1).outcome).toBeUndefined();
});

test.each([0, 5])("priority %d passes whatever the saturation, which nobody computes", (priority) => {
  expect(shed(2, priority)).toEqual({ outcome: undefined, asked: [] });
});

test("the open controller lets everything through", () => {
  expect(admitAll.admit(buildRequest({ priority: -10 }))).toBeUndefined();
});
