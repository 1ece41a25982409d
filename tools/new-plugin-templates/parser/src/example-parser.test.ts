import { RequestError } from "@pointsman/core";
import { parserContract, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { parseGenerateRequest } from "./example-parser.ts";
import exampleParser from "./index.ts";

const path = "/v1/example-parser/generate";
const usage = '"usage":{"prompt_tokens":7,"completion_tokens":10}';
const restoreModel = { from: "base", to: "alias" };

pluginContract(exampleParser, { testFile: import.meta.url });
parserContract(exampleParser, {
  requests: [
    { path, body: '{"model":"m","prompt":"Hello","stream":true,"max_tokens":5}' },
    { path, body: '{"prompt":["one","two"]}' },
    { path, body: '{"model":"m"}' },
  ],
  answers: [
    { streaming: false, body: `{"model":"base","text":"Hi",${usage}}`, restoreModel },
    { streaming: true, body: `data: {"text":"Hi"}\n\ndata: {"model":"base",${usage}}\n\n`, restoreModel },
  ],
});

test("model, prompt, limit and the wish for a stream are read", () => {
  const parsed = parseGenerateRequest(Buffer.from('{"model":"m","prompt":"Hello","stream":true,"max_tokens":5}'));
  if (parsed instanceof RequestError) throw new Error(parsed.message);
  expect(parsed).toMatchObject({ model: "m", stream: true, maxOutputTokens: 5 });
  expect(parsed.promptSegments()).toEqual([[{ kind: "text", bytes: Buffer.from("Hello") }]]);
});

test.each(["", "[]", '{"prompt":7}', '{"prompt":'])("the body %s is refused with 400", (body) => {
  expect(parseGenerateRequest(Buffer.from(body))).toMatchObject({ code: "BadRequest" });
});
