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

test.each([
  ["connect", "EAFNOSUPPORT"],
  ["connect", "EINVAL"],
  ["connect", "ENETDOWN"],
  ["getaddrinfo", "EAI_FAIL"],
])("a %s that fails with %s is no answer", (syscall, code) => {
  const error = Object.assign(withCode(code, `${syscall} ${code} fe80::1`), { syscall });
  expect(failureOf(error, false)).toMatchObject({ kind: "local" });
  expect(failureOf(new AggregateError([error], ""), false)).toMatchObject({ kind: "local" });
});

test("a refused connection is one wherever the code stands", () => {
  const error = Object.assign(withCode("ECONNREFUSED"), { syscall: "connect" });
  expect(failureOf(error, false)).toMatchObject({ kind: "unreachable" });
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
