import {
  type Endpoint,
  Exchange,
  type ExchangeSink,
  Headers,
  IN_FLIGHT_LOAD,
  type InFlightLoad,
  type PluginInstance,
  RequestError,
  type ResponseBodyEvent,
  type SchedulingResult,
  TOKENIZED_PROMPT,
} from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, buildRouter, named } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { RecordedGauges } from "../test/recorded-gauges.ts";
import inflightLoadProducer from "./index.ts";

const loadOf = (endpoint: Endpoint): InFlightLoad | undefined =>
  // Written by the producer under this key.
  endpoint.values[IN_FLIGHT_LOAD.from().index] as InFlightLoad | undefined;

const event = (fields: Partial<ResponseBodyEvent>): ResponseBodyEvent => ({
  startOfStream: false,
  endOfStream: false,
  chunkBytes: 1,
  usage: undefined,
  streamedEvents: 0,
  terminationCause: undefined,
  setDynamicMetadata: () => {},
  ...fields,
});

/** One thing that happens. Requests and endpoints are numbered; what makes no sense at its time is left out. */
type Step =
  | { readonly do: "decide"; readonly tokens: number; readonly decode: number; readonly prefill: number | undefined }
  | { readonly do: "first chunk" | "chunk" | "end"; readonly request: number }
  | { readonly do: "flap" | "replace" | "change"; readonly endpoint: number };

const endpointNumber = fc.nat(2);
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("decide" as const),
        tokens: fc.nat(1000),
        decode: endpointNumber,
        prefill: fc.option(endpointNumber, { nil: undefined }),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constantFrom("first chunk" as const, "chunk" as const, "end" as const),
        request: fc.nat(12),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constantFrom("flap" as const, "replace" as const, "change" as const),
        endpoint: endpointNumber,
      }),
    },
  ),
  { maxLength: 60 },
);

test.each([false, true])(
  "whatever happens in whatever order, counts are what open requests hold, and 0 at the end (estimates: %s)",
  (addEstimatedOutputTokens) => {
    fc.assert(
      fc.property(steps, (list) => {
        const endpoints = [0, 1, 2].map((slot) => buildEndpoint(slot));
        const gauges = new RecordedGauges();
        const params = { addEstimatedOutputTokens, outputRatio: 1 };
        const { instance } = buildPlugin(inflightLoadProducer, { params, metrics: gauges, endpoints: () => endpoints });
        for (const endpoint of endpoints) instance.endpointChanged!({ type: "addOrUpdate", endpoint });
        const open: {
          readonly request: ReturnType<typeof buildRequest>;
          readonly result: SchedulingResult;
          readonly tokens: number;
          begun: boolean;
          ended: boolean;
        }[] = [];

        const expected = (endpoint: Endpoint): InFlightLoad => {
          let [requests, tokens] = [0, 0];
          for (const { result, tokens: held, begun, ended } of open) {
            if (ended) continue;
            for (const [profile, { targets }] of result.profiles) {
              if (targets[0] !== endpoint || (begun && profile === "prefill")) continue;
              requests++;
              if (!begun || addEstimatedOutputTokens) tokens += held;
            }
          }
          return { tokens, requests };
        };

        const run = (step: Step): void => {
          switch (step.do) {
            case "decide": {
              const profile = (target: Endpoint) => ({
                targets: [target],
                candidates: [],
                totals: new Float64Array(0),
              });
              const profiles = new Map([["decode", profile(endpoints[step.decode]!)]]);
              if (step.prefill !== undefined) profiles.set("prefill", profile(endpoints[step.prefill]!));
              const prompt = { prompts: [], totalTokens: step.tokens, estimated: true };
              const request = buildRequest({ attributes: [[TOKENIZED_PROMPT.from(), prompt]] });
              const result = { primaryProfile: "decode", profiles };
              instance.preRequest!(request, result);
              const tokens = addEstimatedOutputTokens ? 2 * step.tokens : step.tokens;
              open.push({ request, result, tokens, begun: false, ended: false });
              return;
            }
            case "first chunk":
            case "chunk":
            case "end": {
              const one = open[step.request];
              if (one === undefined) return;
              const endOfStream = step.do === "end";
              const startOfStream = step.do === "first chunk";
              instance.responseBody!(one.request, one.result, event({ startOfStream, endOfStream }));
              one.begun ||= startOfStream;
              one.ended ||= endOfStream;
              return;
            }
            default: {
              const old = endpoints[step.endpoint]!;
              if (step.do === "change") {
                instance.endpointChanged!({ type: "addOrUpdate", endpoint: old });
                return;
              }
              if (step.do === "flap") instance.endpointChanged!({ type: "delete", endpoint: old });
              endpoints[step.endpoint] = buildEndpoint(step.endpoint);
              instance.endpointChanged!({ type: "addOrUpdate", endpoint: endpoints[step.endpoint]! });
              if (step.do === "replace") instance.endpointChanged!({ type: "delete", endpoint: old });
              expect(loadOf(old)).toBeUndefined();
            }
          }
        };
        const check = (): void => {
          expect(endpoints.map(loadOf)).toEqual(endpoints.map(expected));
          const total = endpoints.map(expected).reduce((sum, { tokens, requests }) => sum + tokens + requests, 0);
          expect(Object.values(gauges.series).reduce((sum, value) => sum + value, 0)).toBe(total);
        };

        for (const step of list) {
          run(step);
          check();
        }
        for (let request = 0; request < open.length; request++) run({ do: "end", request });
        expect(endpoints.map(loadOf)).toEqual(endpoints.map(() => ({ tokens: 0, requests: 0 })));
        expect(Object.values(gauges.series).every((value) => value === 0)).toBe(true);
      }),
    );
  },
);

const silentSink: ExchangeSink = {
  routed: () => {},
  reply: () => {},
  requestTrailers: () => {},
  responseHeaders: () => {},
  responseBody: () => {},
  responseTrailers: () => {},
};

/** An exchange with the real request control, the producer and other plugins. */
function exchangeWith(...others: readonly PluginInstance[]) {
  const endpoint = buildEndpoint(0);
  const { instance } = buildPlugin(inflightLoadProducer, { endpoints: () => [endpoint] });
  instance.endpointChanged!({ type: "addOrUpdate", endpoint });
  const plugins = [named(instance, "inflight"), ...others.map((other, i) => named(other, `other-${i}`))];
  const { router } = buildRouter({ endpoints: [endpoint], plugins });
  const exchange = new Exchange(router, silentSink);
  const headers = Headers.from([
    [":method", "POST"],
    [":path", "/v1/completions"],
  ]);
  exchange.requestHeaders(headers, false, {});
  exchange.requestBody(Buffer.from('{"model":"m","stream":true}'), true, {});
  return { exchange, requests: () => loadOf(endpoint)?.requests };
}

const answerHeaders = Headers.from([
  [":status", "200"],
  ["content-type", "text/event-stream"],
]);

test("a routed request counts until its answer has passed", () => {
  const { exchange, requests } = exchangeWith();
  expect(requests()).toBe(1);
  exchange.responseHeaders(answerHeaders, false, {});
  exchange.responseBody(Buffer.from("data: 1\n\n"), false);
  expect(requests()).toBe(1);
  exchange.responseBody(Buffer.from("data: [DONE]\n\n"), true);
  expect(requests()).toBe(0);
  exchange.close("error");
  expect(requests()).toBe(0);
});

test.each([
  { name: "headers end the answer", act: (e: Exchange) => e.responseHeaders(answerHeaders, true, {}) },
  { name: "the client leaves before the answer", act: (e: Exchange) => e.close("client-disconnect") },
  {
    name: "the client leaves within the answer",
    act: (e: Exchange) => {
      e.responseHeaders(answerHeaders, false, {});
      e.responseBody(Buffer.from("data: 1\n\n"), false);
      e.close("client-disconnect");
    },
  },
  {
    name: "trailers end the answer",
    act: (e: Exchange) => {
      e.responseHeaders(answerHeaders, false, {});
      e.responseTrailers();
    },
  },
])("a request is released when $name", ({ act }) => {
  const { exchange, requests } = exchangeWith();
  expect(requests()).toBe(1);
  act(exchange);
  expect(requests()).toBe(0);
});

test("a request is released when another plugin refuses it after the decision", () => {
  const { exchange, requests } = exchangeWith({ preRequest: () => new RequestError("Internal", "no") });
  expect(requests()).toBe(1);
  exchange.close("error");
  expect(requests()).toBe(0);
});

test("a request is released when another plugin's response hook throws", () => {
  const { exchange, requests } = exchangeWith({
    responseBody: () => {
      throw new Error("broken");
    },
  });
  expect(requests()).toBe(1);
  exchange.close("error");
  expect(requests()).toBe(0);
});
