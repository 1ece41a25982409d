import {
  hasRole,
  type Logger,
  type ResponseBodyEvent,
  type SchedulingResult,
  silentLogger,
  type Usage,
} from "@pointsman/core";
import { buildPlugin, buildRequest, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import requestAttributeReporter from "./index.ts";
import { reportedNumber } from "./request-attribute-reporter.ts";

const key = { name: "x-gateway-inference-request-cost" };
const costParams = {
  attributes: [{ key, expression: "usage.completion_tokens", condition: "has(usage.completion_tokens)" }],
};

pluginContract(requestAttributeReporter, { testFile: import.meta.url, params: costParams });

const result: SchedulingResult = { primaryProfile: "default", profiles: new Map() };
const counted: Usage = { promptTokens: 7, completionTokens: 10, totalTokens: 17, cachedTokens: undefined };

/** What is reported at the events of an answer, as `[namespace, key, value]`. */
function reports(
  params: unknown,
  events: readonly Partial<ResponseBodyEvent>[],
  logger: Logger = silentLogger,
): readonly unknown[] {
  const { instance } = buildPlugin(requestAttributeReporter, { params, logger });
  if (!hasRole(instance, "responseBodyProcessor")) throw new Error("a role is missing");
  const reported: unknown[] = [];
  for (const event of events) {
    instance.responseBody(buildRequest(), result, {
      startOfStream: false,
      endOfStream: false,
      chunkBytes: 1,
      usage: undefined,
      streamedEvents: 0,
      terminationCause: undefined,
      setDynamicMetadata: (namespace, name, value) => reported.push([namespace, name, value]),
      ...event,
    });
  }
  return reported;
}

const expressionOf = (expression: string, condition?: string) => ({
  attributes: [{ key, expression, ...(condition === undefined ? {} : { condition }) }],
});
const atEnd = (params: unknown, usage: Usage | undefined) => reports(params, [{ endOfStream: true, usage }]);

test("the end of an answer reports the expression's value in the namespace envoy.lb", () => {
  const events = [{ startOfStream: true, usage: counted }, { usage: counted }, { endOfStream: true, usage: counted }];
  expect(reports(costParams, events)).toEqual([["envoy.lb", key.name, 10]]);
});

test("another namespace is used as given, an empty one is envoy.lb", () => {
  const inNamespace = (namespace: string) => ({ attributes: [{ key: { ...key, namespace }, expression: "5" }] });
  expect(atEnd(inNamespace("acme.cost"), counted)).toEqual([["acme.cost", key.name, 5]]);
  expect(atEnd(inNamespace(""), counted)).toEqual([["envoy.lb", key.name, 5]]);
});

test.each([
  ["usage.completion_tokens / 4", [2]],
  ["usage.prompt_tokens - usage.total_tokens * 1.5", [-18]],
  ["usage.completion_tokens - 10.0", []],
  ["0.9", []],
  ["-1", []],
  ["-1.7", []],
  ["1.0 / 0.0", []],
  ["1 / 0", []],
  ["usage.audio_tokens", []],
  ["usage", []],
  ["usage.completion_tokens > 3 ? dyn('text') : dyn(1)", []],
])("%s reports %j", (expression, expected) => {
  expect(atEnd(expressionOf(expression), counted)).toEqual(expected.map((value) => ["envoy.lb", key.name, value]));
});

test.each([
  ["true", 1],
  ["usage.completion_tokens >= 10", 1],
  ["", 1],
  ["usage.completion_tokens > 10", 0],
  ["usage.audio_tokens > 1", 0],
  ["usage.completion_tokens", 0],
])("under the condition %j, %i value is reported", (condition, count) => {
  expect(atEnd(expressionOf("usage.total_tokens", condition), counted)).toHaveLength(count);
});

test("an answer without counts, or one that was cut off, reports nothing", () => {
  expect(atEnd(costParams, undefined)).toEqual([]);
  expect(atEnd(expressionOf("usage.completion_tokens"), undefined)).toEqual([]);
  expect(reports(costParams, [{ usage: counted }])).toEqual([]);
});

test("the first failure is logged, all are counted", () => {
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_fields: object, message: string) => warnings.push(message) };
  const events = Array.from({ length: 5 }, () => ({ endOfStream: true, usage: counted }));
  reports(expressionOf("usage.audio_tokens"), events, logger);
  expect(warnings).toHaveLength(1);
});

test.each([
  [{}, "attributes"],
  [{ attributes: [] }, "attributes: must contain exactly one attribute"],
  [
    { attributes: [costParams.attributes[0], costParams.attributes[0]] },
    "attributes: must contain exactly one attribute",
  ],
  [{ attributes: [{ key: { name: "" }, expression: "1" }] }, "attributes.0.key.name"],
  [{ attributes: [{ key, expression: "" }] }, "attributes.0.expression"],
  [{ attributes: [{ key, expression: "1".repeat(5000) }] }, "attributes.0.expression"],
  [expressionOf("usage."), "attributes[0].expression is no valid CEL expression"],
  [expressionOf("'text'"), "its value is of type string, not double or int"],
  [expressionOf("1", "1"), "attributes[0].condition is no valid CEL expression: its value is of type int, not bool"],
])("parameters %j are refused: %s", (params, message) => {
  expect(() => buildPlugin(requestAttributeReporter, { params })).toThrow(message);
});

test("whatever the value is, what is reported is a whole number that is neither 0 nor -1", () => {
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.double(), fc.bigInt()), (value) => {
      const number = reportedNumber(value);
      if (number !== undefined) expect(Number.isInteger(number) && number !== 0 && number !== -1).toBe(true);
    }),
  );
});

test("any counts are reported as they are", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (completionTokens) => {
      expect(atEnd(costParams, { ...counted, completionTokens })).toEqual([["envoy.lb", key.name, completionTokens]]);
    }),
  );
});
