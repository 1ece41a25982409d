import { expect, test } from "vitest";
import { RequestAttributes } from "./attribute-store.ts";
import { AGENT_IDENTITY, SESSION_ID } from "./request-attributes.ts";

test("what was set is read back; an absent or withdrawn key reads as undefined", () => {
  const attributes = new RequestAttributes();
  expect(attributes.get(AGENT_IDENTITY)).toBeUndefined();
  attributes.set(SESSION_ID.from(), "session-1");
  attributes.set(SESSION_ID.from("other-producer"), "session-2");
  expect(attributes.get(AGENT_IDENTITY)).toBeUndefined();
  expect(attributes.get(SESSION_ID.from())).toBe("session-1");
  expect(attributes.get(SESSION_ID.from("other-producer"))).toBe("session-2");
  attributes.set(SESSION_ID.from(), undefined);
  expect(attributes.get(SESSION_ID.from())).toBeUndefined();
});

test("stores of two requests share nothing", () => {
  const first = new RequestAttributes();
  first.set(AGENT_IDENTITY, "agent");
  expect(new RequestAttributes().get(AGENT_IDENTITY)).toBeUndefined();
});
