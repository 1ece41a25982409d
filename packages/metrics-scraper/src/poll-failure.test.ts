import { expect, test } from "vitest";
import { failureOf, printable } from "./poll-failure.ts";

const withCode = (code: string, message = `connect ${code} 127.0.0.1:1`): Error =>
  Object.assign(new Error(message), { code });

test.each(["ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "ETIMEDOUT"])(
  "%s before an answer means that nobody is there",
  (code) => {
    expect(failureOf(withCode(code), false)).toMatchObject({ kind: "unreachable" });
  },
);

test.each(["EMFILE", "EADDRNOTAVAIL", "EAI_AGAIN"])("%s is no fault of the server", (code) => {
  expect(failureOf(withCode(code), false)).toMatchObject({ kind: "local" });
});

test.each(["DEPTH_ZERO_SELF_SIGNED_CERT", "EPROTO", "CERT_HAS_EXPIRED"])(
  "%s comes from somebody who answers",
  (code) => {
    expect(failureOf(withCode(code), false)).toMatchObject({ kind: "bad-answer" });
  },
);

test("a connection that breaks after the head of the answer is a bad answer", () => {
  expect(failureOf(withCode("ECONNRESET", "other side closed"), true)).toEqual({
    kind: "bad-answer",
    reason: "the answer broke off: other side closed (ECONNRESET)",
  });
});

test("the first of several connection attempts says what kind of failure it is", () => {
  const error = new AggregateError([withCode("ECONNREFUSED"), withCode("ENETUNREACH")], "");
  expect(failureOf(error, false)).toEqual({ kind: "unreachable", reason: "ECONNREFUSED" });
});

test("text from outside is cut and made printable", () => {
  expect(printable("a\nb\u001b[31mc\u0000")).toBe("a b [31mc ");
  expect(printable("x".repeat(1000))).toBe(`${"x".repeat(300)}...`);
  expect(failureOf("a thrown text", false)).toEqual({ kind: "bad-answer", reason: "a thrown text" });
});
