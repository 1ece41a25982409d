import { expect, test } from "vitest";
import { OpenExchange } from "../../test/open-exchange.ts";
import { jsonTestParser, named } from "../../test/testkit.ts";
import { TOKENIZED_PROMPT } from "../attributes/tokenized-prompt.ts";
import type { InferenceRequest } from "../request.ts";

test("a routed request keeps its plain fields and lets go of prompt, tokens and bytes", () => {
  const seen: InferenceRequest[] = [];
  const text = Buffer.from("a long prompt");
  const open = new OpenExchange({
    parsers: [
      named(
        {
          ...jsonTestParser,
          parseRequest: () => ({
            ...{ model: "m", stream: true, maxOutputTokens: 5, cacheSalt: "salt" },
            promptSegments: () => [[{ kind: "text" as const, bytes: text }]],
            promptTokenIds: () => [Uint32Array.of(1)],
            rewriteModel: () => [text],
          }),
        },
        "parser",
      ),
    ],
    plugins: [
      named(
        {
          preRequest(request: InferenceRequest) {
            expect(request.body.promptSegments()).toHaveLength(1);
            request.attributes.set(TOKENIZED_PROMPT.from(), { prompts: [], totalTokens: 3, estimated: true });
            seen.push(request);
            return undefined;
          },
        },
        "learner",
      ),
    ],
  });
  open.requestHeaders({ ":path": "/v1/completions" }, false);
  open.requestBody("{}", true);
  const { body, attributes } = seen[0]!;
  expect(body).toMatchObject({ model: "m", stream: true, maxOutputTokens: 5, cacheSalt: "salt" });
  expect(body.promptSegments()).toEqual([]);
  expect(body.promptTokenIds()).toBeUndefined();
  expect(body.rewriteModel).toBeUndefined();
  expect(attributes.get(TOKENIZED_PROMPT.from())).toBeUndefined();
});
