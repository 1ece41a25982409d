import fc from "fast-check";
import { expect, test } from "vitest";
import { Answer } from "./answer.ts";
import { addChatTokens, type ChatMessage, chatTokenTexts } from "./chat-template.ts";
import { TokenList, tokenTexts, vocabularySize } from "./tokenizer.ts";

function tokensOf(...texts: readonly string[]): number[] {
  const list = new TokenList();
  for (const text of texts) list.addText(text);
  return [...list.ids()];
}

function chatTokens(messages: readonly ChatMessage[], opensAnswer: boolean): number[] {
  const list = new TokenList();
  addChatTokens({ toolsText: undefined, messages, opensAnswer }, list);
  return [...list.ids()];
}

test("a text has one token per four bytes of UTF-8, the last one may be shorter", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const ids = tokensOf(text);
      expect(ids).toHaveLength(Math.ceil(Buffer.byteLength(text) / 4));
      expect(tokenTexts(text)).toHaveLength(ids.length);
      for (const id of ids) expect(id >= 0 && id < vocabularySize).toBe(true);
    }),
  );
});

test("text added behind a multiple of four bytes leaves the earlier tokens as they are", () => {
  expect(tokensOf("abcdefghijkl").slice(0, 2)).toEqual(tokensOf("abcdefgh"));
  expect(tokensOf("abcd", "efgh")).toEqual(tokensOf("abcdefgh"));
});

test("the texts of the tokens of plain ASCII join to the text", () => {
  expect(tokenTexts("hello world").join("")).toBe("hello world");
  expect(tokenTexts("")).toEqual([]);
});

test("an answer has as many tokens as asked for, and its parts join to the whole", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 60 }), fc.nat(60), (seed, tokens, split) => {
      const answer = new Answer(seed, tokens, "length");
      const text = answer.text(0, tokens);
      const ids = tokensOf(text);
      expect(ids).toEqual(Array.from({ length: tokens }, (_, i) => answer.tokenId(i)));
      const at = Math.min(split, tokens);
      expect(answer.text(0, at) + answer.text(at, tokens)).toBe(text);
      expect(text).toBe(text.trim());
    }),
  );
});

test("equal seeds give equal answers and different seeds different ones", () => {
  const text = (seed: number) => new Answer(seed, 20, "stop").text(0, 20);
  expect(text(5)).toBe(text(5));
  expect(text(5)).not.toBe(text(6));
});

test("a conversation continued with the generated answer starts with the tokens of prompt and answer", () => {
  const question: ChatMessage = { role: "user", text: "What is the way to the station?" };
  const answer = new Answer(3, 12, "stop");
  const prompt = chatTokens([question], true);
  const generated = Array.from({ length: 12 }, (_, i) => answer.tokenId(i));
  const next = chatTokens(
    [question, { role: "assistant", text: answer.text(0, 12) }, { role: "user", text: "And back?" }],
    true,
  );
  expect(next.slice(0, prompt.length + 12)).toEqual([...prompt, ...generated]);
});

test("the texts of a conversation's tokens are as many as its tokens", () => {
  const messages = [
    { role: "system", text: "Be brief." },
    { role: "user", text: "Grüße" },
  ];
  const prompt = { toolsText: "[]", messages, opensAnswer: true };
  const list = new TokenList();
  addChatTokens(prompt, list);
  expect(chatTokenTexts(prompt)).toHaveLength(list.length);
  expect(chatTokens(messages, true).length).toBeGreaterThan(chatTokens(messages, false).length);
});
