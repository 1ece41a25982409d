import { type PromptTokens, TOKENIZED_PROMPT, type TokenizedPrompt } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  deciderContract,
  pluginContract,
  type RequestOptions,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import alwaysDisaggMultimodalDecider from "./index.ts";

const textPrompt: PromptTokens = { tokenIds: Uint32Array.of(1, 2), features: [] };
const withMedia = (modality: string): PromptTokens => ({
  tokenIds: Uint32Array.of(1, 2),
  features: [{ modality, hash: "h", offsetTokens: 0, lengthTokens: 1 }],
});
const tokenized = (...prompts: readonly PromptTokens[]): TokenizedPrompt => ({
  prompts,
  totalTokens: prompts.length * 2,
  estimated: true,
});
const asking = (value: TokenizedPrompt | undefined): RequestOptions => ({
  attributes: [[TOKENIZED_PROMPT.from(), value]],
});
const prompt = fc.constantFrom(textPrompt, withMedia("image"), withMedia("audio"));

pluginContract(alwaysDisaggMultimodalDecider, { testFile: import.meta.url });
deciderContract(alwaysDisaggMultimodalDecider, {
  request: () =>
    fc.option(fc.array(prompt), { nil: undefined }).map((prompts) => asking(prompts && tokenized(...prompts))),
});

const { instance } = buildPlugin(alwaysDisaggMultimodalDecider);

test.each([
  { name: "an image: yes", value: tokenized(withMedia("image")), answer: true },
  { name: "audio: yes", value: tokenized(withMedia("audio")), answer: true },
  { name: "media in the last of several prompts: yes", value: tokenized(textPrompt, withMedia("video")), answer: true },
  { name: "text only: no", value: tokenized(textPrompt, textPrompt), answer: false },
  { name: "no prompts: no", value: tokenized(), answer: false },
  { name: "nobody tokenized the request: no", value: undefined, answer: false },
])("$name", ({ value, answer }) => {
  expect(instance.disaggregate!(buildRequest(asking(value)), buildEndpoint(0))).toBe(answer);
  expect(instance.disaggregate!(buildRequest(asking(value)), undefined)).toBe(answer);
});

test("property: yes exactly when some prompt has a feature", () => {
  fc.assert(
    fc.property(fc.array(prompt), (prompts) => {
      const answer = instance.disaggregate!(buildRequest(asking(tokenized(...prompts))), undefined);
      expect(answer).toBe(prompts.some(({ features }) => features.length > 0));
    }),
  );
});
