import { expect, test } from "vitest";
import { jsonTestParser, named } from "../../test/testkit.ts";
import { Headers } from "../headers.ts";
import { ParserSelection, requestPath } from "./parser-selection.ts";

const parser = (name: string, ...claims: readonly string[]) => named({ ...jsonTestParser, claims }, name);

const selection = new ParserSelection([
  parser("completions", "v1/completions", "completions"),
  parser("chat", "chat/completions"),
  parser("generate", "/generate/", "vllm.Engine/Generate"),
  parser("chat-too", "/chat/completions"),
  parser("fallback"),
  parser("second-fallback"),
]);

test.each([
  ["/v1/chat/completions", "chat", "the longest claim and, among equals, the parser listed first"],
  ["/v1/completions", "completions", "the longest claim"],
  ["/completions", "completions", "a claim that is the whole path"],
  ["/tenant/v1/completions", "completions", "a prefix before the claim"],
  ["/v1/chat/completions/", "chat", "a trailing slash"],
  ["v1/chat/completions", "chat", "a missing leading slash"],
  ["/generate", "generate", "a claim written with slashes"],
  ["/vllm.Engine/Generate", "generate", "a gRPC method"],
  ["/v1/regenerate", "fallback", "a claim inside a segment"],
  ["/v1/mychat/completions", "completions", "a segment boundary of the longer claim"],
  ["/v1/completions/extra", "fallback", "a claim that is not at the end"],
  ["/V1/Completions", "fallback", "letter case"],
  ["/", "fallback", "the root"],
  ["", "fallback", "an empty path"],
])("%j goes to the parser %s: %s", (path, name) => {
  expect(selection.select(path)?.name).toBe(name);
});

test("without a match and without a fallback there is no parser", () => {
  expect(new ParserSelection([parser("chat", "chat/completions")]).select("/v1/models")).toBeUndefined();
  expect(new ParserSelection([]).select("/v1/completions")).toBeUndefined();
});

test.each([
  {
    given: { ":path": "/a?model=x/chat/completions", "x-original-path": "/b" },
    path: "/a",
    name: "the path, query cut",
  },
  { given: { "x-original-path": "/b?x", "x-forwarded-path": "/c" }, path: "/b", name: "the original path" },
  { given: { "x-forwarded-path": "/c" }, path: "/c", name: "the forwarded path" },
  { given: { "content-type": "application/json" }, path: "/v1/completions", name: "the default" },
])("a request's path is $name", ({ given, path }) => {
  expect(requestPath(Headers.from(Object.entries(given)))).toBe(path);
});

test("without headers the path is the default", () => {
  expect(requestPath(undefined)).toBe("/v1/completions");
});
