import { diag } from "@opentelemetry/api";
import {
  type Endpoint,
  Exchange,
  type ExchangeSink,
  Headers,
  type Logger,
  type RoutedRequest,
  silentLogger,
} from "@pointsman/core";
import { buildEndpoint, buildRouter, FakeClock, named, type RouterOptions } from "@pointsman/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { OtlpReceiver, type ReceivedSpan } from "../test/otlp-receiver.ts";
import { startTracing, type Tracing } from "./index.ts";

let receiver: OtlpReceiver;
let tracing: Tracing | undefined;
beforeEach(async () => {
  receiver = new OtlpReceiver();
  await receiver.start();
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url);
  vi.stubEnv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue");
});
afterEach(async () => {
  await tracing?.shutdown();
  tracing = undefined;
  receiver.stop();
  vi.unstubAllEnvs();
});

const sampledParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const always = { OTEL_TRACES_EXPORTER: "otlp", OTEL_TRACES_SAMPLER_ARG: "1" };

/** A logger that keeps what it is told at error level. */
function errorLog(): { readonly logger: Logger; readonly errors: string[] } {
  const errors: string[] = [];
  return { logger: { ...silentLogger, error: (_fields, message) => void errors.push(message) }, errors };
}

interface Served {
  readonly routed: RoutedRequest | undefined;
  readonly replyStatus: number | undefined;
  readonly spans: readonly ReceivedSpan[];
}

/** One exchange with tracing, up to its end and the export of its spans. */
async function serve(
  options: {
    readonly router?: RouterOptions;
    readonly headers?: readonly (readonly [string, string])[];
    readonly environment?: Readonly<Record<string, string>>;
    readonly responseStatus?: string;
    readonly hasBody?: boolean;
    readonly clock?: FakeClock;
  } = {},
): Promise<Served> {
  const clock = options.clock ?? new FakeClock();
  tracing = await startTracing({
    environment: options.environment ?? always,
    version: "1.2.3",
    clock,
    logger: silentLogger,
  });
  const { observer, onDecision } = tracing!;
  const { router } = buildRouter({ endpoints: [buildEndpoint(0)], clock, ...options.router, onDecision });
  let routed: RoutedRequest | undefined;
  let replyStatus: number | undefined;
  const sink: ExchangeSink = {
    routed: (request) => {
      routed = request;
    },
    reply: (reply) => {
      replyStatus = reply.status;
    },
    requestTrailers: () => {},
    responseHeaders: () => {},
    responseBody: () => {},
    responseTrailers: () => {},
  };
  const exchange = new Exchange({ ...router, observer }, sink);
  const hasBody = options.hasBody ?? true;
  exchange.requestHeaders(
    Headers.from([[":path", "/v1/completions"], ["x-request-id", "r-1"], ...(options.headers ?? [])]),
    !hasBody,
    {},
  );
  if (hasBody) exchange.requestBody(Buffer.from('{"model":"m"}'), true, {});
  await new Promise((resolve) => setImmediate(resolve));
  if (routed !== undefined) {
    clock.advance(200);
    exchange.responseHeaders(Headers.from([[":status", options.responseStatus ?? "200"]]), true, {});
  }
  exchange.close("client-disconnect");
  await tracing!.shutdown();
  return { routed, replyStatus, spans: receiver.spans };
}

const byName = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan => {
  const found = spans.filter((span) => span.name === name);
  if (found.length !== 1)
    throw new Error(`${found.length} spans ${name} among ${spans.map((span) => span.name).join(", ")}`);
  return found[0]!;
};
const durationMs = ({ startNs, endNs }: ReceivedSpan): number => Number(endNs - startNs) / 1e6;

test("a request becomes the spans of its way, each under its cause, with what each step did", async () => {
  const clock = new FakeClock();
  const took = (ms: number): void => clock.advance(ms);
  const endpoints = [0, 1, 2].map((slot) => buildEndpoint(slot));
  const { spans, routed } = await serve({
    clock,
    headers: [["traceparent", sampledParent]],
    router: {
      endpoints,
      plugins: [
        named(
          {
            filter: (_request: unknown, all: readonly Endpoint[]) => {
              took(3);
              return all.slice(0, 2);
            },
          },
          "two-filter",
        ),
        named(
          {
            score: (_request: unknown, _all: unknown, out: Float64Array) => {
              took(5);
              out.set([0.25, 0.75]);
            },
          },
          "test-scorer",
        ),
        named(
          {
            pick: (_request: unknown, all: readonly Endpoint[]) => {
              took(2);
              return [all[1]!];
            },
          },
          "test-picker",
        ),
        named({ preRequest: () => void took(4) }, "late"),
      ],
    },
  });
  expect(routed?.destination).toBe("127.0.0.1:8001");

  const gateway = byName(spans, "gateway.request");
  expect(gateway).toMatchObject({
    scope: "llm-d-router/pkg/epp/handlers",
    kind: 2,
    traceId: "0af7651916cd43dd8448eb211c80319c",
    parentId: "b7ad6b7169203331",
    status: { code: 0 },
    resource: { "service.name": "llm-d-epp", "service.version": "1.2.3" },
  });
  expect(durationMs(gateway)).toBeCloseTo(214, 3);

  const orchestration = byName(spans, "gateway.request_orchestration");
  expect(orchestration).toMatchObject({
    scope: "llm-d-router/pkg/epp/requestcontrol",
    kind: 2,
    parentId: gateway.spanId,
    attributes: { target_model: "m", request_prio: 0 },
  });
  expect(durationMs(orchestration)).toBeCloseTo(14, 3);

  const common = { "gen_ai.request.model": "m", "gen_ai.request.id": "r-1" };
  const expected: [name: string, parent: ReceivedSpan | string, startMs: number, ms: number, attributes: object][] = [
    ["run_scheduler_profile", orchestration, 0, 10, { "llm_d.epp.scheduling.profile.name": "default" }],
    [
      "filter_endpoints",
      "run_scheduler_profile",
      0,
      3,
      { "llm_d.epp.filter.candidate_endpoints": 3, "llm_d.epp.filter.filtered_endpoints": 2 },
    ],
    [
      "llm_d.epp.scoring",
      "run_scheduler_profile",
      3,
      5,
      { "llm_d.epp.scorer.count": 1, "llm_d.epp.scoring.candidate_endpoints": 2 },
    ],
    [
      "llm_d.epp.scorer.test-scorer",
      "llm_d.epp.scoring",
      3,
      5,
      {
        "llm_d.epp.scorer.type": "test-scorer",
        "llm_d.epp.scorer.name": "test-scorer",
        "llm_d.epp.scorer.weight": 1,
        "llm_d.epp.scorer.candidate_endpoints": 2,
        "llm_d.epp.scorer.score.max": 0.75,
        "llm_d.epp.scorer.score.avg": 0.5,
        "llm_d.epp.scorer.endpoints_scored": 2,
      },
    ],
    [
      "pick_endpoints",
      "run_scheduler_profile",
      8,
      2,
      {
        "llm_d.epp.picker.candidate_endpoints": 2,
        "llm_d.epp.picker.top_endpoints": ["default/server-1", "default/server-0"],
        "llm_d.epp.picker.top_scores": [0.75, 0.25],
      },
    ],
  ];
  for (const [name, parent, startMs, ms, attributes] of expected) {
    const span = byName(spans, name);
    const parentSpan = typeof parent === "string" ? byName(spans, parent) : parent;
    expect(span, name).toMatchObject({
      scope: "llm-d-router/pkg/epp/scheduling",
      kind: 1,
      traceId: gateway.traceId,
      parentId: parentSpan.spanId,
    });
    expect(span.attributes, name).toEqual({ ...common, ...attributes });
    expect(Number(span.startNs - orchestration.startNs) / 1e6, name).toBeCloseTo(startMs, 3);
    expect(durationMs(span), name).toBeCloseTo(ms, 3);
  }
  expect(spans).toHaveLength(7);
  expect(receiver.metadata[0]).toMatchObject({ "x-tenant": "blue" });
});

test("of a large pool, spans tell of all endpoints and name the best five", async () => {
  const endpoints = Array.from({ length: 100 }, (_, slot) => buildEndpoint(slot));
  const { spans } = await serve({
    router: {
      endpoints,
      plugins: [
        named(
          {
            score: (_request: unknown, all: readonly unknown[], out: Float64Array) => {
              for (let i = 0; i < all.length; i++) out[i] = i / 100;
            },
          },
          "test-scorer",
        ),
      ],
    },
  });
  expect(byName(spans, "llm_d.epp.scorer.test-scorer").attributes).toMatchObject({
    "llm_d.epp.scorer.candidate_endpoints": 100,
    "llm_d.epp.scorer.endpoints_scored": 100,
    "llm_d.epp.scorer.score.max": 0.99,
    "llm_d.epp.scorer.score.avg": expect.closeTo(0.495, 9),
  });
  const { attributes } = byName(spans, "pick_endpoints");
  expect(attributes["llm_d.epp.picker.candidate_endpoints"]).toBe(100);
  expect(attributes["llm_d.epp.picker.top_scores"]).toEqual([0.99, 0.98, 0.97, 0.96, 0.95]);
});

test("a refused request has errors on its spans", async () => {
  const { spans, replyStatus } = await serve({ router: { endpoints: [] } });
  expect(replyStatus).toBe(503);
  const message = "failed to find endpoint candidates for serving the request";
  for (const name of ["gateway.request", "gateway.request_orchestration"]) {
    expect(byName(spans, name)).toMatchObject({
      status: { code: 2, message },
      events: [
        {
          name: "exception",
          attributes: { "exception.type": "ServiceUnavailable", "exception.message": message },
        },
      ],
    });
  }
});

test("an error of the model server marks the request", async () => {
  const { spans } = await serve({ responseStatus: "500" });
  expect(byName(spans, "gateway.request").status.code).toBe(2);
  expect(byName(spans, "gateway.request_orchestration").status.code).toBe(0);
});

test.each([true, false])("the model server gets the request's own span as its parent (body: %s)", async (hasBody) => {
  const headers: [string, string][] = [
    ["traceparent", sampledParent],
    ["tracestate", "vendor=1"],
    ["baggage", "a=b"],
  ];
  const { routed, spans } = await serve({ headers, hasBody });
  const { traceId, spanId } = byName(spans, "gateway.request");
  const { set, remove } = routed!.headers;
  expect(Object.fromEntries(set)["traceparent"]).toBe(`00-${traceId}-${spanId}-01`);
  // What came goes on unchanged, so nothing is said about it.
  expect([...set.map(([name]) => name), ...remove]).not.toContain("tracestate");
  expect([...set.map(([name]) => name), ...remove]).not.toContain("baggage");
});

test.each([
  [[["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"]]],
  [[["traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01"]]],
  [
    [
      ["traceparent", sampledParent],
      ["traceparent", sampledParent],
    ],
  ],
  [[]],
] as [readonly [string, string][]][])(
  "without a parent that counts (%j) a new trace begins, and its old state ends",
  async (parents) => {
    const { routed, spans } = await serve({ headers: [...parents, ["tracestate", "vendor=1"]] });
    const gateway = byName(spans, "gateway.request");
    expect(gateway.parentId).toBe("");
    expect(gateway.traceId).not.toBe("0af7651916cd43dd8448eb211c80319c");
    expect(routed!.headers.remove).toContain("tracestate");
  },
);

test("a request that its caller does not sample is not exported, and says so to the model server", async () => {
  const { routed, spans } = await serve({
    headers: [["traceparent", sampledParent.replace(/01$/, "00")]],
  });
  expect(spans).toEqual([]);
  expect(Object.fromEntries(routed!.headers.set)["traceparent"]).toMatch(
    /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/,
  );
});

test("the ratio decides where no caller has", async () => {
  const { spans } = await serve({ environment: { OTEL_TRACES_EXPORTER: "otlp", OTEL_TRACES_SAMPLER_ARG: "0" } });
  expect(spans).toEqual([]);
});

test.each([
  [{ OTEL_TRACES_SAMPLER_ARG: "lots" }, "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1"],
  [{ OTEL_TRACES_SAMPLER_ARG: "2" }, "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1"],
  [{ OTEL_TRACES_SAMPLER: "always_on" }, "OTEL_TRACES_SAMPLER is not parentbased_traceidratio, which is used"],
])("%j is reported and a tenth is sampled", async (environment, message) => {
  const { logger, errors } = errorLog();
  const started = { ratio: undefined as unknown };
  tracing = await startTracing({
    environment: { OTEL_TRACES_EXPORTER: "otlp", ...environment },
    version: "1",
    clock: new FakeClock(),
    logger: {
      ...logger,
      info: (fields) => {
        started.ratio = fields["ratio"];
      },
    },
  });
  expect(errors).toEqual([message]);
  expect(started.ratio).toBe(0.1);
});

test("no exporter and an unknown one start nothing, the latter with an error", async () => {
  const { logger, errors } = errorLog();
  const base = { version: "1", clock: new FakeClock(), logger };
  expect(await startTracing({ ...base, environment: { OTEL_TRACES_EXPORTER: "none" } })).toBeUndefined();
  expect(errors).toEqual([]);
  expect(await startTracing({ ...base, environment: { OTEL_TRACES_EXPORTER: "zipkin" } })).toBeUndefined();
  expect(errors).toEqual(["OTEL_TRACES_EXPORTER is not otlp, console or none: no spans are exported"]);
});

test("the environment names the service, and the console exporter prints", async () => {
  vi.stubEnv("OTEL_SERVICE_NAME", "picker-west");
  vi.stubEnv("OTEL_RESOURCE_ATTRIBUTES", "service.version=9,zone=west");
  const printed: unknown[] = [];
  const dir = vi.spyOn(console, "dir").mockImplementation((span) => void printed.push(span));
  await serve({ environment: { OTEL_TRACES_SAMPLER_ARG: "1" } });
  dir.mockRestore();
  expect(printed).toContainEqual(
    expect.objectContaining({
      name: "gateway.request",
      resource: {
        attributes: expect.objectContaining({ "service.name": "picker-west", "service.version": "9", zone: "west" }),
      },
    }),
  );
});

test("what the library reports is told in words, as a warning", async () => {
  const warnings: unknown[] = [];
  const { logger, errors } = errorLog();
  tracing = await startTracing({
    environment: always,
    version: "1.2.3",
    clock: new FakeClock(),
    logger: { ...logger, warn: (fields) => warnings.push(fields["problem"]) },
  });
  diag.error(JSON.stringify({ stack: "Error: nobody\n    at x", message: "nobody listens", code: "14" }));
  diag.warn("half a {");
  expect(warnings).toEqual(["nobody listens", "half a {"]);
  expect(errors).toEqual([]);
});
