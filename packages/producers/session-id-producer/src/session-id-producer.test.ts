import { Headers, SESSION_ID } from "@pointsman/core";
import { buildPlugin, buildRequest, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import sessionIdProducer from "./index.ts";
import { cookieValue, sessionIdOf } from "./session-id-producer.ts";

describe("from a header", () =>
  pluginContract(sessionIdProducer, { testFile: import.meta.url, params: { headerName: "X-Session" } }));
describe("from a cookie", () =>
  pluginContract(sessionIdProducer, { testFile: import.meta.url, params: { cookieName: "sid" } }));

function sessionOf(params: object, headers: Readonly<Record<string, string>>, name?: string): string | undefined {
  const { instance } = buildPlugin(sessionIdProducer, { params, ...(name === undefined ? {} : { name }) });
  const request = buildRequest({ headers });
  expect(instance.produce!(request, [])).toBeUndefined();
  return request.attributes.get(SESSION_ID.from(name));
}

test("the header's value is the session, without white space around it", () => {
  expect(sessionOf({ headerName: "X-Session" }, { "x-session": " s 1 " })).toBe("s 1");
});

test.each([
  { name: "no header", headers: {} },
  { name: "an empty header", headers: { "x-session": "" } },
  { name: "a blank header", headers: { "x-session": " \t" } },
  { name: "a header of more than 4,096 characters", headers: { "x-session": "s".repeat(4097) } },
  { name: "another header", headers: { "x-sessions": "s" } },
])("$name is no session", ({ headers }) => {
  expect(sessionOf({ headerName: "x-session" }, headers)).toBeUndefined();
});

test("a header of 4,096 characters is a session", () => {
  expect(sessionOf({ headerName: "x-session" }, { "x-session": "s".repeat(4096) })).toHaveLength(4096);
});

// Source: spec scheduling-plugins F5.
test.each([
  { name: "alone", cookie: "sid=abc", value: "abc" },
  { name: "among others", cookie: "a=1; sid=abc; b=2", value: "abc" },
  { name: "without spaces", cookie: "a=1;sid=abc;b=2", value: "abc" },
  { name: "the first of its name", cookie: "sid=one; sid=two", value: "one" },
  { name: "with an equals sign in the value", cookie: "sid=a=b==", value: "a=b==" },
  { name: "with quotes, which stay", cookie: 'sid="abc"', value: '"abc"' },
  { name: "with escapes, which stay", cookie: "sid=a%20b", value: "a%20b" },
  { name: "with white space around it", cookie: "sid= abc ", value: "abc" },
  { name: "in another case, which is another cookie", cookie: "SID=abc", value: undefined },
  { name: "as the end of another name", cookie: "xsid=abc", value: undefined },
  { name: "without an equals sign", cookie: "sid; a=1", value: undefined },
  { name: "empty", cookie: "sid=; a=1", value: undefined },
  { name: "within another value", cookie: "a=sid=abc", value: undefined },
])("a cookie $name: $value", ({ cookie, value }) => {
  expect(sessionOf({ cookieName: "sid" }, { cookie })).toBe(value);
});

test("cookies that come in several headers are all read, in their order", () => {
  const headers = Headers.from([
    ["cookie", "a=1"],
    ["x", "sid=no"],
    ["cookie", "sid=one"],
    ["cookie", "sid=two"],
  ]);
  expect(cookieValue(headers, "sid")).toBe("one");
});

test("whatever a cookie header holds, a value is a trimmed part of it", () => {
  const texts = fc.string({ unit: fc.constantFrom("s", "i", "d", "=", ";", " ", '"', "\u0000", "é") });
  fc.assert(
    fc.property(fc.array(texts, { maxLength: 3 }), (cookies) => {
      const headers = Headers.from(cookies.map((cookie) => ["cookie", cookie] as const));
      const value = sessionIdOf(headers, { cookieName: "sid" });
      if (value === undefined) return;
      expect(value).not.toBe("");
      expect(value).toBe(value.trim());
      expect(value).not.toContain(";");
      expect(cookies.some((cookie) => cookie.includes(value))).toBe(true);
    }),
  );
});

test("any session that a cookie can hold is read back", () => {
  const values = fc.string({ minLength: 1 }).filter((text) => !text.includes(";") && text === text.trim());
  fc.assert(
    fc.property(values, fc.nat(3), (session, before) => {
      const cookie = [...new Array<string>(before).fill("other=1"), `sid=${session}`, "sid=later"].join("; ");
      expect(sessionIdOf(Headers.from([["cookie", cookie]]), { cookieName: "sid" })).toBe(session);
    }),
  );
});

test("a name that is blank counts as not given, and white space around one as none", () => {
  expect(sessionOf({ headerName: " X-Session ", cookieName: "" }, { "x-session": "s" })).toBe("s");
  expect(sessionOf({ headerName: " ", cookieName: " sid " }, { cookie: "sid=c" })).toBe("c");
});

test("an instance under another name writes under that name", () => {
  expect(sessionOf({ headerName: "x-session" }, { "x-session": "s" }, "by-header")).toBe("s");
});

test.each([
  { params: {}, problem: "needs exactly one of headerName and cookieName, not none" },
  { params: { headerName: "a", cookieName: "b" }, problem: "needs exactly one of headerName and cookieName, not both" },
  { params: { headerName: "", cookieName: " " }, problem: "needs exactly one of headerName and cookieName, not none" },
  { params: { headerName: "a b" }, problem: "headerName: must be the name of a header" },
  { params: { cookieName: "a;b" }, problem: "cookieName: must be the name of a cookie" },
  { params: { header: "a" }, problem: "header" },
])("$params is refused", ({ params, problem }) => {
  expect(() => buildPlugin(sessionIdProducer, { params })).toThrow(problem);
});
