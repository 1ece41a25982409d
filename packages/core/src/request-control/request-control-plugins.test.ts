import { expect, test } from "vitest";
import { buildControl } from "../../test/build-control.ts";
import { buildEndpoint, buildRequest, FakeClock, named } from "../../test/testkit.ts";
import { PREFIX_MATCH } from "../attributes/prefix-match.ts";
import { DecisionLog } from "../decision/decision-log.ts";
import type { Endpoint } from "../endpoint.ts";
import type {
  Admitter,
  DataProducer,
  PreRequest,
  RequestHeaderProcessor,
  Screener,
} from "../plugin/request-plugins.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import { RequestError } from "../request-error.ts";
import { type AdmissionController, shedWhenSaturated } from "./admission.ts";

const endpoints = [buildEndpoint(0), buildEndpoint(1), buildEndpoint(2), buildEndpoint(3)];
const failures = "llm_d_epp_plugin_failures_total";
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function body(outcome: SchedulingResult | RequestError | Promise<unknown>): string {
  if (outcome instanceof Promise) return "a promise";
  return outcome instanceof RequestError ? outcome.body : "routed";
}

/** An admission controller that waits until the test answers, and refuses when the client leaves. */
function waitingAdmission(): { admission: AdmissionController; answer: (outcome: undefined | RequestError) => void } {
  let answer: (outcome: undefined | RequestError) => void = () => expect.unreachable("answered before it was asked");
  return {
    answer: (outcome) => answer(outcome),
    admission: {
      admit: (request) =>
        new Promise((resolve) => {
          answer = resolve;
          request.signal.addEventListener("abort", () =>
            resolve(new RequestError("ServiceUnavailable", "client disconnected", "rejected-context-cancelled")),
          );
        }),
    },
  };
}

test("an admission that answers at once is not waited for", () => {
  const denied = new RequestError("ResourceExhausted", "queue at capacity", "rejected-saturated");
  const open = buildControl({ endpoints: () => endpoints, admission: { admit: () => undefined } });
  expect(body(open.control.route(buildRequest()))).toBe("routed");
  const closed = buildControl({ endpoints: () => endpoints, admission: { admit: () => denied } });
  expect(closed.control.route(buildRequest())).toBe(denied);
});

test("nothing after admission runs until a waiting admission lets the request go on", async () => {
  const { admission, answer } = waitingAdmission();
  let asked = 0;
  const { control, decisions, clock } = buildControl({
    admission,
    endpoints: () => {
      asked++;
      return endpoints;
    },
  });
  const outcome = control.route(buildRequest());
  await pause();
  expect(asked).toBe(0);
  clock.advance(70);
  answer(undefined);
  expect(body(await outcome)).toBe("routed");
  expect(decisions.recent(1)[0]!.stages[0]).toMatchObject({ stage: "admission", durationMs: 70, problem: undefined });
});

test("a waiting admission may refuse, with its own code and reason", async () => {
  const { admission, answer } = waitingAdmission();
  const { control, decisions } = buildControl({
    admission,
    endpoints: () => expect.unreachable("looks for candidates"),
  });
  const outcome = control.route(buildRequest());
  const denied = new RequestError("ResourceExhausted", "request timed out in queue", "rejected-ttl-expired");
  answer(denied);
  expect(await outcome).toBe(denied);
  expect(decisions.recent(1)[0]!.stages[0]).toMatchObject({ problem: "request timed out in queue" });
});

test("an aborted request leaves a waiting admission", async () => {
  const { admission } = waitingAdmission();
  const { control } = buildControl({ admission, endpoints: () => endpoints });
  const request = buildRequest();
  const outcome = control.route(request);
  request.abort();
  expect(await outcome).toMatchObject({ reason: "rejected-context-cancelled" });
});

test.each<{ readonly name: string; readonly admission: AdmissionController }>([
  {
    name: "throws",
    admission: {
      admit: () => {
        throw new Error("no queue");
      },
    },
  },
  { name: "rejects", admission: { admit: () => Promise.reject(new Error("no queue")) } },
])("an admission controller that $name costs the request only", async ({ admission }) => {
  const { control, metrics, logger } = buildControl({ admission, endpoints: () => endpoints });
  const outcome = await control.route(buildRequest());
  expect(body(outcome)).toBe("inference error: Internal - admission failed; see the log of the endpoint picker");
  expect(metrics.value(failures, { extension_point: "Admission", plugin_name: "admission-controller" })).toBe(1);
  expect(logger.of("error")[0]!.fields).toMatchObject({ cause: "no queue" });
});

test.each([
  {
    saturation: 1,
    priority: -1,
    expected: "inference error: ResourceExhausted - system saturated, sheddable request dropped",
  },
  { saturation: 0.99, priority: -1, expected: "routed" },
  { saturation: 1, priority: 0, expected: "routed" },
])("at saturation $saturation a request of priority $priority is $expected", ({ saturation, priority, expected }) => {
  const detector = named({ saturation: () => saturation });
  const { control } = buildControl({
    endpoints: () => endpoints,
    admission: shedWhenSaturated(detector, () => endpoints),
    objectives: { priorityOf: () => priority },
  });
  expect(body(control.route(buildRequest({ headers: { "x-llm-d-inference-objective": "any" } })))).toBe(expected);
});

function screener(name: string, screen: Screener["screen"]): NamedPlugin<Screener> {
  return named({ screen }, name);
}

const bySlot = (list: readonly Endpoint[], slots: readonly number[]): readonly Endpoint[] =>
  slots.map((slot) => list.find((endpoint) => endpoint.slot === slot)!);

test("each screener sees all candidates; what all of them keep goes on, in the candidates' order", () => {
  const seen: (readonly Endpoint[])[] = [];
  const keeping = (...slots: readonly number[]) =>
    screener(`keep-${slots.join("-")}`, (_request, list) => {
      seen.push(list);
      return bySlot(list, slots);
    });
  const produced: number[] = [];
  const { control, decisions } = buildControl({
    endpoints: () => endpoints,
    screeners: [keeping(3, 0, 1), keeping(2, 1, 3)],
    producers: [
      [
        named<DataProducer>({
          produce: (_request, list) => {
            produced.push(...list.map(({ slot }) => slot));
          },
        }),
      ],
    ],
  });
  expect(body(control.route(buildRequest()))).toBe("routed");
  expect(seen).toEqual([endpoints, endpoints]);
  expect(produced).toEqual([1, 3]);
  const left = decisions
    .recent(1)[0]!
    .stages.flatMap(({ stage, remaining }) => (stage === "screener" ? [remaining] : []));
  expect(left).toEqual([3, 2]);
});

test("screeners cannot add endpoints", () => {
  const stranger = buildEndpoint(9);
  const { control } = buildControl({
    endpoints: () => endpoints,
    screeners: [screener("adding", () => [stranger])],
  });
  expect(control.route(buildRequest())).toMatchObject({ code: "ServiceUnavailable" });
});

test("screeners that leave nothing end the request with 503 before producers run", () => {
  const { control } = buildControl({
    endpoints: () => endpoints,
    screeners: [screener("none", () => [])],
    producers: [[named({ produce: () => expect.unreachable("produces for nobody") })]],
  });
  expect(control.route(buildRequest())).toMatchObject({
    code: "ServiceUnavailable",
    message: "screeners eliminated all endpoint candidates",
    reason: "rejected-no-endpoints",
  });
});

test("a screener that throws keeps no endpoint", () => {
  const broken = screener("broken", () => {
    throw new Error("no revisions");
  });
  const { control, metrics, decisions } = buildControl({
    endpoints: () => endpoints,
    screeners: [broken, screener("all", (_request, list) => list)],
  });
  expect(control.route(buildRequest())).toMatchObject({ httpStatus: 503, reason: "rejected-no-endpoints" });
  expect(metrics.value(failures, { extension_point: "Screener", plugin_name: "broken" })).toBe(1);
  const stages = decisions.recent(1)[0]!.stages.slice(1);
  expect(stages.map(({ problem, remaining }) => [problem, remaining])).toEqual([
    ["threw", 0],
    [undefined, 0],
  ]);
});

test("a failing producer is logged and the request is routed; its level and the next one run", async () => {
  const ran: string[] = [];
  const note = (name: string, then: () => void | Promise<void>) =>
    named(
      {
        produce: () => {
          ran.push(name);
          return then();
        },
      },
      name,
    );
  const { control, metrics } = buildControl({
    endpoints: () => endpoints,
    producers: [
      [note("rejects", () => Promise.reject(new Error("no tokens"))), note("beside", () => {})],
      [note("after", () => {})],
    ],
  });
  expect(body(await control.route(buildRequest()))).toBe("routed");
  expect(ran).toEqual(["rejects", "beside", "after"]);
  expect(metrics.value(failures, { extension_point: "DataProducer" })).toBe(1);
});

test("a producer that never settles costs its time and not the request", async () => {
  const { control, clock } = buildControl({
    endpoints: () => endpoints,
    producers: [[named({ produce: () => new Promise<void>(() => {}), produceTimeoutMs: 25 }, "hung")]],
  });
  const request = buildRequest();
  const outcome = control.route(request);
  clock.advance(25);
  expect(body((await outcome) as RequestError)).toBe("routed");
  expect(request.isLate("hung")).toBe(true);
  expect(request.nowMs).toBe(clock.now());
});

test("an admitter's refusal keeps its code and reason, and later admitters and the scheduler do not run", () => {
  const refusal = new RequestError("ResourceExhausted", "over the tenant's share", "rejected-saturated");
  const { control } = buildControl({
    endpoints: () => endpoints,
    admitters: [
      named<Admitter>({ admitRequest: () => refusal }),
      named<Admitter>({ admitRequest: () => expect.unreachable("asked after a refusal") }),
    ],
    profile: { picker: named({ pick: () => expect.unreachable("schedules a refused request") }) },
  });
  expect(control.route(buildRequest())).toBe(refusal);
});

test("an admitter sees the candidates that screeners left", () => {
  let seen: readonly Endpoint[] = [];
  const { control } = buildControl({
    endpoints: () => endpoints,
    screeners: [screener("first-two", (_request, list) => list.slice(0, 2))],
    admitters: [
      named<Admitter>({
        admitRequest: (_request, list) => {
          seen = list;
          return undefined;
        },
      }),
    ],
  });
  control.route(buildRequest());
  expect(seen.map(({ slot }) => slot)).toEqual([0, 1]);
});

const throwing = (thrown: unknown) => () => {
  throw thrown;
};

test.each([
  {
    name: "request header",
    point: "RequestHeader",
    options: (thrown: unknown) => ({
      requestHeaderProcessors: [named<RequestHeaderProcessor>({ requestHeaders: throwing(thrown) }, "bad")],
    }),
  },
  {
    name: "admission",
    point: "Admission",
    options: (thrown: unknown) => ({
      admitters: [named<Admitter>({ admitRequest: throwing(thrown) }, "bad")],
    }),
  },
  {
    name: "pre-request",
    point: "PreRequest",
    options: (thrown: unknown) => ({
      preRequests: [named<PreRequest>({ preRequest: throwing(thrown) }, "bad")],
    }),
  },
])("a thrown request error of a $name plugin keeps its code, any other ends as Internal", ({ point, options }) => {
  const refusal = new RequestError("Forbidden", "not here");
  const typed = buildControl({ endpoints: () => endpoints, ...options(refusal) });
  expect(typed.control.route(buildRequest())).toBe(refusal);
  expect(typed.metrics.value(failures)).toBe(0);
  const untyped = buildControl({ endpoints: () => endpoints, ...options(new Error("boom")) });
  expect(body(untyped.control.route(buildRequest()))).toBe('inference error: Internal - plugin "bad" failed');
  expect(untyped.metrics.value(failures, { extension_point: point, plugin_name: "bad" })).toBe(1);
});

function preRequests(outcomes: Readonly<Record<string, RequestError | undefined>>, ran: string[]) {
  return Object.entries(outcomes).map(([name, outcome]): NamedPlugin<PreRequest> => {
    const preRequest = () => {
      ran.push(name);
      return outcome;
    };
    return { name, type: `${name}-type`, instance: { preRequest } };
  });
}

test("pre-request plugins all run, also after one refused, and one typed error keeps its code", () => {
  const ran: string[] = [];
  const refusal = new RequestError("NotFound", "no prefill worker");
  const { control } = buildControl({
    endpoints: () => endpoints,
    preRequests: preRequests({ a: undefined, b: refusal, c: undefined }, ran),
  });
  let decided: SchedulingResult | undefined;
  expect(control.route(buildRequest(), (result) => (decided = result))).toBe(refusal);
  expect(ran).toEqual(["a", "b", "c"]);
  expect(decided?.primaryProfile).toBe("default");
});

test("several refusals of pre-request plugins end as one Internal error with a line for each", () => {
  const { control } = buildControl({
    endpoints: () => endpoints,
    preRequests: preRequests(
      { a: new RequestError("NotFound", "no prefill"), b: undefined, c: new RequestError("Forbidden", "no decode") },
      [],
    ),
  });
  expect(control.route(buildRequest())).toMatchObject({
    code: "Internal",
    message: 'PreRequest "a/a-type" failed: no prefill\nPreRequest "c/c-type" failed: no decode',
  });
});

test("a pre-request plugin sees the decision and may add upstream headers", () => {
  const { control } = buildControl({
    endpoints: () => endpoints,
    preRequests: [
      named<PreRequest>({
        preRequest: (request, { primaryProfile, profiles }) => {
          const target = profiles.get(primaryProfile)!.targets[0]!;
          request.upstreamHeaders.set("x-chosen", target.hostPort);
          return undefined;
        },
      }),
    ],
  });
  const request = buildRequest();
  expect(body(control.route(request))).toBe("routed");
  expect([...request.upstreamHeaders]).toEqual([["x-chosen", "127.0.0.1:8000"]]);
});

test("a refused decision is not announced: neither by the scheduler nor by the conditional decode gate", () => {
  const announce = () => expect.unreachable("announces a decision");
  const full = buildControl({ endpoints: () => endpoints, profile: { filters: [named({ filter: () => [] })] } });
  expect(full.control.route(buildRequest(), announce)).toMatchObject({ code: "ResourceExhausted" });
  const missing = buildControl({ endpoints: () => endpoints });
  const request = buildRequest({ headers: { prefer: "if-available" } });
  expect(request.attributes.get(PREFIX_MATCH.from())).toBeUndefined();
  expect(missing.control.route(request, announce)).toMatchObject({ code: "PreconditionFailed" });
});

test("without a decision log the way is the same", () => {
  const { control } = buildControl({
    endpoints: () => endpoints,
    decisions: new DecisionLog(0, new FakeClock()),
    screeners: [screener("all", (_request, list) => list)],
  });
  expect(body(control.route(buildRequest()))).toBe("routed");
});
