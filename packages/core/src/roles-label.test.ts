import fc from "fast-check";
import { expect, test } from "vitest";
import { buildEndpoint } from "../test/testkit.ts";
import { endpointRole, keepRoles, ROLE_LABEL } from "./roles-label.ts";

const withRole = (slot: number, role: string | undefined) =>
  buildEndpoint(slot, role === undefined ? {} : { labels: { [ROLE_LABEL]: role } });

test("the role is the label as it stands, and nothing is inherited", () => {
  expect(endpointRole(withRole(0, "decode"))).toBe("decode");
  expect(endpointRole(withRole(0, ""))).toBe("");
  expect(endpointRole(withRole(0, undefined))).toBeUndefined();
  const inherited: Record<string, string> = Object.create({ [ROLE_LABEL]: "decode" });
  expect(endpointRole(buildEndpoint(0, { labels: inherited }))).toBeUndefined();
});

test("accepted roles stay, in order, and those without a label only when asked for", () => {
  const roles = fc.array(fc.constantFrom("prefill", "decode", "both", "", "unheard-of", undefined));
  fc.assert(
    fc.property(roles, fc.boolean(), (given, keepUnlabelled) => {
      const endpoints = given.map((role, slot) => withRole(slot, role));
      const before = [...endpoints];
      const kept = keepRoles(endpoints, new Set(["decode", "both"]), keepUnlabelled);
      const expected = endpoints.filter((_, i) =>
        given[i] === undefined ? keepUnlabelled : given[i] === "decode" || given[i] === "both",
      );
      expect(kept.map(({ slot }) => slot)).toEqual(expected.map(({ slot }) => slot));
      if (expected.length === endpoints.length) expect(kept).toBe(endpoints);
      expect(endpoints).toEqual(before);
    }),
  );
});
