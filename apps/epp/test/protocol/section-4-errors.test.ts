/** Spec ext-proc section 4: what a client of a refused request gets. */
import {
  type AnyPluginDefinition,
  type DropReason,
  definePlugin,
  type PluginInstance,
  RequestError,
  type RequestErrorCode,
} from "@pointsman/core";
import { describe, expect, test } from "vitest";
import { request, subset } from "./support/messages.ts";
import { onBothTransports, type PickerOptions } from "./support/picker.ts";

/** What an immediate response holds: status, text and reason. */
function refusal(status: number, body: string, reason?: string) {
  return {
    kind: "immediateResponse",
    status,
    body: `inference error: ${body}`,
    set: reason === undefined ? [] : [["x-llm-d-request-dropped-reason", reason]],
  };
}

const codes: readonly (readonly [RequestErrorCode, number])[] = [
  ["BadRequest", 400],
  ["Unauthorized", 401],
  ["Forbidden", 403],
  ["NotFound", 404],
  ["PreconditionFailed", 412],
  ["PayloadTooLarge", 413],
  ["ResourceExhausted", 429],
  ["Internal", 500],
  ["ServiceUnavailable", 503],
];
const reasons: readonly DropReason[] = [
  "rejected-saturated",
  "rejected-no-endpoints",
  "rejected-ttl-expired",
  "rejected-context-cancelled",
  "rejected-shutting-down",
  "evicted",
];

const denying = (error: RequestError): PluginInstance => ({ admitRequest: () => error });
const failing = (error: unknown): PluginInstance => ({
  preRequest: () => {
    throw error;
  },
});

/** A profile with a filter, a picker or a handler of the test. */
const profileWith = (type: string, handler = ""): string => `
plugins:
  - {type: queue-scorer}
  - {type: openai-parser}
  - {type: ${type}}
requestHandler: {parsers: [{pluginRef: openai-parser}]}
schedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer}${handler === "" ? `, {pluginRef: ${type}}` : ""}]}]
`;

function plugin(kind: AnyPluginDefinition["kind"], instance: PluginInstance): AnyPluginDefinition {
  return definePlugin({ type: "test-plugin", kind, stability: "stable", summary: "A test's.", create: () => instance });
}

const noCandidates = refusal(
  503,
  "ServiceUnavailable - failed to find endpoint candidates for serving the request",
  "rejected-no-endpoints",
);

interface Situation {
  readonly name: string;
  readonly options?: PickerOptions;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly metadata?: ReturnType<typeof subset>;
  readonly expected: ReturnType<typeof refusal>;
}

const situations: readonly Situation[] = [
  {
    name: "4-3 no parser for the path",
    headers: { ":path": "/v2/nothing?x=/v1/completions" },
    expected: refusal(400, "BadRequest - no parser registered matching path suffix for: /v2/nothing"),
  },
  {
    name: "4-4 parser error",
    body: "no healthy upstream",
    expected: refusal(
      400,
      "BadRequest - error unmarshaling request bodyMap: invalid character 'o' in literal null (expecting 'u')",
    ),
  },
  {
    name: "4-4 parser error of a field",
    body: '{"model":"m"}',
    expected: refusal(400, "BadRequest - invalid completions request: must have prompt field"),
  },
  {
    name: "4-5 no model, also before it is known that there is no endpoint",
    options: { pods: [] },
    body: '{"prompt":"hello world"}',
    expected: refusal(400, "BadRequest - model not found in request body"),
  },
  {
    name: "4-7 a sheddable request while the pool is saturated",
    options: {
      pods: [{ queue: 500, kv: 0.99 }],
      objectives: { priorityOf: () => -1 },
      config: `
plugins:
  - {type: queue-scorer}
  - {type: openai-parser}
  - {type: utilization-detector}
flowControl: {saturationDetector: {pluginRef: utilization-detector}}
requestHandler: {parsers: [{pluginRef: openai-parser}]}
schedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer}]}]
`,
    },
    headers: { "x-llm-d-inference-objective": "bulk" },
    expected: refusal(429, "ResourceExhausted - system saturated, sheddable request dropped", "rejected-saturated"),
  },
  { name: "4-8 no candidates at all", options: { pods: [] }, expected: noCandidates },
  { name: "4-8 no candidates after the subset", metadata: subset(["192.168.1.99:8000"]), expected: noCandidates },
  {
    name: "4-9 screeners left none",
    options: { plugins: { "strict-screener": { screen: () => [] } } },
    expected: refusal(
      503,
      "ServiceUnavailable - screeners eliminated all endpoint candidates",
      "rejected-no-endpoints",
    ),
  },
  {
    name: "4-10 an admission plugin denies: with its own code, text and reason",
    options: {
      plugins: { denier: denying(new RequestError("ResourceExhausted", "slow down", "rejected-saturated")) },
    },
    expected: refusal(429, "ResourceExhausted - slow down", "rejected-saturated"),
  },
  {
    name: "4-11 profile filters left none",
    options: { config: profileWith("test-plugin"), plugins: { "test-plugin": plugin("filter", { filter: () => [] }) } },
    expected: refusal(429, "ResourceExhausted - no endpoints available for the given request", "rejected-saturated"),
  },
  {
    name: "4-12 a picker that picks nothing is an internal error that names it",
    options: { config: profileWith("test-plugin"), plugins: { "test-plugin": plugin("picker", { pick: () => [] }) } },
    expected: refusal(500, 'Internal - picker "test-plugin" picked nothing'),
  },
  {
    name: "4-12 a handler that runs no profile",
    options: {
      config: profileWith("test-plugin", "handler"),
      plugins: {
        "test-plugin": plugin("profile-handler", {
          pickProfiles: () => [],
          processResults: () => new RequestError("Internal", "not called"),
        }),
      },
    },
    expected: refusal(429, "ResourceExhausted - failed to find target endpoint: no profile was run for the request"),
  },
  {
    name: "4-13 a result without a target",
    options: {
      config: profileWith("test-plugin", "handler"),
      plugins: {
        "test-plugin": plugin("profile-handler", {
          pickProfiles: (_request, profiles, results) => profiles.filter((name) => !results.has(name)),
          processResults: () => ({ primaryProfile: "default", profiles: new Map() }),
        }),
      },
    },
    expected: refusal(500, "Internal - scheduling failed; see the log of the endpoint picker"),
  },
  {
    name: "4-14 conditional decode miss",
    headers: { prefer: "if-available" },
    expected: refusal(412, "PreconditionFailed - no decode worker has the requested KV cache"),
  },
  {
    name: "4-15 one typed failure before the request leaves",
    options: {
      plugins: {
        failing: failing(new RequestError("ServiceUnavailable", "no prefill worker", "rejected-no-endpoints")),
      },
    },
    expected: refusal(503, "ServiceUnavailable - no prefill worker", "rejected-no-endpoints"),
  },
  {
    name: "4-16 one untyped failure before the request leaves, whose text stays in the log",
    options: { plugins: { failing: failing(new Error("secret detail")) } },
    expected: refusal(500, 'Internal - plugin "failing" failed'),
  },
  {
    name: "4-16 several failures before the request leaves",
    options: {
      plugins: {
        first: failing(new RequestError("ServiceUnavailable", "no prefill worker")),
        second: failing(new RequestError("BadRequest", "no such image")),
      },
    },
    expected: refusal(
      500,
      'Internal - PreRequest "first/first" failed: no prefill worker\nPreRequest "second/second" failed: no such image',
    ),
  },
  {
    name: "4-17 a body that cannot be rewritten",
    options: {
      config: `
plugins:
  - {type: queue-scorer}
  - {type: test-plugin}
requestHandler: {parsers: [{pluginRef: test-plugin}]}
schedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer}]}]
`,
      plugins: {
        "test-plugin": plugin("parser", {
          claims: [],
          appProtocols: [],
          parseRequest: () => ({
            ...{ model: "m", stream: false, maxOutputTokens: undefined, cacheSalt: undefined },
            promptSegments: () => [],
            promptTokenIds: () => undefined,
            rewriteModel: () => {
              throw new Error("broken");
            },
          }),
          responseReader: () => ({ chunk: (bytes) => bytes, usage: undefined, events: 0 }),
        }),
      },
    },
    headers: { "x-llm-d-model-name-rewrite": "tuned" },
    expected: refusal(500, "Internal - Error marshalling request body"),
  },
  {
    name: "4-18 a body above --max-request-body-size",
    options: { flags: ["--max-request-body-size=100"] },
    body: `{"model":"m","prompt":"${"x".repeat(100)}"}`,
    expected: refusal(413, "PayloadTooLarge - request body exceeds 100 bytes"),
  },
];

onBothTransports("4 errors", (start) => {
  test.each(codes)("4-1 %s is HTTP %d, with its code and text, counted once by its code", async (code, status) => {
    const picker = await start({ plugins: { denier: denying(new RequestError(code, "said so")) } });
    expect(await picker.request().all()).toEqual([refusal(status, `${code} - said so`)]);
    expect(await picker.metric("llm_d_epp_request_error_total", { error_code: code })).toBe(1);
    expect(await picker.metric("llm_d_epp_request_error_total")).toBe(1);
  });

  test.each(reasons)("4-2 the reason %s has its header", async (reason) => {
    const picker = await start({
      plugins: { denier: denying(new RequestError("ServiceUnavailable", "said so", reason)) },
    });
    expect(await picker.request().all()).toEqual([refusal(503, "ServiceUnavailable - said so", reason)]);
  });

  describe("4 situations", () => {
    test.each(situations)(
      "$name",
      async ({ options, headers = {}, body = '{"model":"m","prompt":"a"}', metadata, expected }) => {
        const picker = await start(options);
        expect(await picker.request({ headers, body, metadata }).all()).toEqual([expected]);
        const rejected = picker.log.filter(({ message }) => message === "request rejected");
        expect(rejected).toHaveLength(1);
      },
    );

    test("4-6 headers only and no endpoint", async () => {
      const picker = await start({ pods: [] });
      expect(await picker.stream(request.headers({ ":path": "/v1/models" }, true)).all()).toEqual([noCandidates]);
    });

    test("4-18 bodies that are not whole have a limit together", async () => {
      const picker = await start({ flags: ["--max-held-body-size=100"] });
      const slow = picker.stream(request.headers({}), request.body('{"model":"m","prompt":"', false));
      const stream = picker.stream(request.headers({}), request.body("x".repeat(90), false));
      const problem = "ServiceUnavailable - request bodies that wait would take more than 100 bytes";
      expect(await stream.all()).toEqual([refusal(503, problem)]);
      slow.send(request.body('hello"}', true));
      expect((await slow.until(1))[0]).toMatchObject({ kind: "requestHeaders" });
      slow.cancel();
    });

    test("4-18 a body above the limit is refused before it is whole", async () => {
      const picker = await start({ flags: ["--max-request-body-size=100"] });
      const stream = picker.stream(request.headers({}), request.body("x".repeat(101), false));
      expect(await stream.all()).toEqual([refusal(413, "PayloadTooLarge - request body exceeds 100 bytes")]);
    });
  });
});
