import { Headers, hasRole, type Parser } from "@pointsman/core";
import { buildPlugin, parserContract, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import passthroughParser from "./index.ts";

pluginContract(passthroughParser, { testFile: import.meta.url });
parserContract(passthroughParser, {
  requests: [
    { path: "/v1/anything", body: "passthrough-parser" },
    { path: "", body: Uint8Array.of(0, 255, 128) },
    { path: "/v1/chat/completions", body: '{"model":"m","stream":true}' },
  ],
  answers: [
    { streaming: false, body: '{"model":"m","usage":{"prompt_tokens":7}}' },
    { streaming: true, body: 'data: {"model":"m","usage":{"prompt_tokens":7}}\n\n' },
  ],
});

const { instance } = buildPlugin(passthroughParser);
if (!hasRole(instance, "parser")) throw new Error("passthrough-parser is no parser");
const parser: Parser = instance;

test("claims nothing, which makes it the fallback, on any protocol", () => {
  expect(parser.claims).toEqual([]);
  expect(parser.appProtocols).toEqual([]);
});

test("nothing is known of a request, and its model cannot be changed", () => {
  const parsed = parser.parseRequest("/v1/anything", new Headers(), Buffer.from('{"model":"m","stream":true}'));
  expect(parsed).toMatchObject({ stream: false });
  expect(parsed).toHaveProperty("model", undefined);
  expect(parsed).not.toHaveProperty("rewriteModel");
  expect(parsed).not.toHaveProperty("skipResponse");
});

test("answers pass as they come, also where a name was to be restored", () => {
  const restoreModel = { from: "m", to: "n" };
  const reader = parser.responseReader(undefined, { headers: new Headers(), streaming: false, restoreModel });
  const bytes = Buffer.from('{"model":"m","usage":{"prompt_tokens":7}}');
  expect(reader.chunk(bytes, true)).toBe(bytes);
  expect(reader.usage).toBeUndefined();
});
