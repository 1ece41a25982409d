import fc from "fast-check";
import { expect, test } from "vitest";
import { hasRole, type Role, rolesOf } from "./roles.ts";

const methods: Readonly<Record<Role, string>> = {
  filter: "filter",
  scorer: "score",
  picker: "pick",
  profileHandler: "pickProfiles",
  disaggregationDecider: "disaggregate",
  requestHeaderProcessor: "requestHeaders",
  screener: "screen",
  dataProducer: "produce",
  admitter: "admitRequest",
  preRequest: "preRequest",
  responseHeaderProcessor: "responseHeaders",
  responseBodyProcessor: "responseBody",
  saturationDetector: "saturation",
  parser: "parseRequest",
  discovery: "startDiscovery",
  endpointListener: "endpointChanged",
  kubernetesListener: "resourceChanged",
  pollingSource: "pollTarget",
  pollingExtractor: "extract",
};
// Keys of a record over the roles are roles.
const roles = Object.keys(methods) as Role[];

test("an instance has exactly the roles whose method it has", () => {
  fc.assert(
    fc.property(fc.subarray(roles), (chosen) => {
      const instance = Object.fromEntries(chosen.map((role) => [methods[role], () => undefined]));
      expect(rolesOf(instance)).toEqual(roles.filter((role) => chosen.includes(role)));
      for (const role of roles) expect(hasRole(instance, role)).toBe(chosen.includes(role));
    }),
  );
});

test("inherited methods count, other values of that name do not", () => {
  class Base {
    score(): void {}
  }
  class Child extends Base {}
  expect(rolesOf(new Child())).toEqual(["scorer"]);
  const noMethod: object = { score: 1, filter: {} };
  expect(rolesOf(noMethod)).toEqual([]);
});
