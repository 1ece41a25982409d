import fc from "fast-check";
import { expect, test } from "vitest";
import { endpointIdOf, endpointToken } from "./endpoint-token.ts";

// Source: spec scheduling-plugins A8: standard base64 with padding of the id.
test("the token is the id as base64 with padding", () => {
  expect(endpointToken("default/pod-a-rank-0")).toBe("ZGVmYXVsdC9wb2QtYS1yYW5rLTA=");
  expect(endpointIdOf("ZGVmYXVsdC9wb2QtYS1yYW5rLTA=")).toBe("default/pod-a-rank-0");
});

test("any id is read back from its token", () => {
  const ids = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 });
  fc.assert(fc.property(ids, (id) => endpointIdOf(endpointToken(id)) === id));
});

test.each([
  { name: "nothing", token: "" },
  { name: "text that is no base64", token: "default/pod-a" },
  { name: "base64 without its padding", token: "ZGVmYXVsdC9wb2QtYS1yYW5rLTA" },
  { name: "base64 with something behind it", token: "ZGVmYXVsdC9wb2QtYS1yYW5rLTA=x" },
  { name: "the alphabet for URLs", token: "_-8=" },
  { name: "more than 1,024 characters", token: "QUFB".repeat(257) },
])("$name is no token", ({ token }) => {
  expect(endpointIdOf(token)).toBeUndefined();
});
