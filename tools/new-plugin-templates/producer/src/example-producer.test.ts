import type { PromptSegment } from "@pointsman/core";
import { buildPlugin, buildRequest, pluginContract, producerContract, type RequestOptions } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import exampleProducer, { EXAMPLE_PRODUCER_PROMPT_BYTES } from "./index.ts";

const segment = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((bytes): PromptSegment => ({ kind: "text", bytes })),
  fc.uint8Array().map((reference): PromptSegment => ({ kind: "media", modality: "image", reference })),
);

pluginContract(exampleProducer, { testFile: import.meta.url });
producerContract(exampleProducer, {
  request: () =>
    fc.array(fc.array(segment)).map((prompts): RequestOptions => ({ body: { promptSegments: () => prompts } })),
});

function promptBytes(prompts: readonly (readonly PromptSegment[])[], name?: string): number | undefined {
  const { instance } = buildPlugin(exampleProducer, name === undefined ? {} : { name });
  const request = buildRequest({ body: { promptSegments: () => prompts } });
  void instance.produce!(request, []);
  return request.attributes.get(EXAMPLE_PRODUCER_PROMPT_BYTES.from(name));
}

test("the bytes of all texts are counted, media are not", () => {
  const text = (bytes: string): PromptSegment => ({ kind: "text", bytes: Buffer.from(bytes) });
  const image: PromptSegment = { kind: "media", modality: "image", reference: Buffer.from("https://x/y") };
  expect(promptBytes([[text("ab"), image], [text("é")]])).toBe(4);
});

test("a request without text has no size", () => {
  expect(promptBytes([])).toBeUndefined();
});

test("an instance of another name writes under its name", () => {
  expect(promptBytes([[{ kind: "text", bytes: Buffer.from("abc") }]], "second")).toBe(3);
});
