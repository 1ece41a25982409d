import type { PromptSegment } from "@pointsman/core";
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
import exampleDecider from "./index.ts";

const withPrompt = (bytes: number): RequestOptions => ({
  body: { promptSegments: () => [[{ kind: "text", bytes: new Uint8Array(bytes) }]] },
});

pluginContract(exampleDecider, { testFile: import.meta.url });
deciderContract(exampleDecider, { request: () => fc.nat(10_000).map(withPrompt) });

const { instance } = buildPlugin(exampleDecider, { params: { longPromptBytes: 10 } });

test.each([
  [9, false],
  [10, true],
])("a prompt of %i bytes: %s", (bytes, answer) => {
  expect(instance.disaggregate!(buildRequest(withPrompt(bytes)), buildEndpoint(0))).toBe(answer);
  expect(instance.disaggregate!(buildRequest(withPrompt(bytes)), undefined)).toBe(answer);
});

test("media do not count, and a request without a prompt gets no", () => {
  const image: PromptSegment = { kind: "media", modality: "image", reference: new Uint8Array(99) };
  expect(instance.disaggregate!(buildRequest({ body: { promptSegments: () => [[image]] } }), undefined)).toBe(false);
  expect(instance.disaggregate!(buildRequest(), undefined)).toBe(false);
});
