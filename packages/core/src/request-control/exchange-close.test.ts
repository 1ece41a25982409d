import { expect, test } from "vitest";
import { bodyRecorder, OpenExchange } from "../../test/open-exchange.ts";
import { buildBody, buildEndpoint, jsonTestParser, named } from "../../test/testkit.ts";
import type { Parser } from "../plugin/parser.ts";
import type { PluginInstance } from "../plugin/plugin.ts";
import type { PreRequest, ResponseBodyEvent } from "../plugin/request-plugins.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import { RequestError } from "../request-error.ts";
import type { AdmissionController } from "./admission.ts";
import { HeldBodies } from "./held-bodies.ts";

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Counts what a plugin that tracks requests would hold: one more before a request leaves, one less at its end. */
function tracker(events: ResponseBodyEvent[] = []): { plugin: NamedPlugin<PluginInstance>; held: () => number } {
  let held = 0;
  return {
    held: () => held,
    plugin: named(
      {
        preRequest: () => {
          held++;
          return undefined;
        },
        responseBody: (_request, _result, event) => {
          events.push(event);
          if (event.endOfStream) held--;
        },
      },
      "tracker",
    ),
  };
}

/** An admission controller that the test answers. */
function gate(): { admission: AdmissionController; open: (outcome?: RequestError) => Promise<void> } {
  let answer: ((outcome: undefined | RequestError) => void) | undefined;
  return {
    admission: {
      admit: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    },
    open: async (outcome) => {
      answer!(outcome);
      await pause();
    },
  };
}

const causes = (events: readonly ResponseBodyEvent[]) =>
  events.filter(({ endOfStream }) => endOfStream).map(({ terminationCause }) => terminationCause);

test.each(["client-disconnect", "error", "evicted"] as const)(
  "an answer cut off by %s gives the plugins that cause, once, and no duration",
  (cause) => {
    const events: ResponseBodyEvent[] = [];
    const { plugin, held } = tracker(events);
    const open = new OpenExchange({ plugins: [plugin] });
    open.request({ model: "m", stream: true }).responseHeaders().responseBody("data: 1\n\n");
    expect([open.running, held()]).toEqual([1, 1]);
    open.exchange.close(cause);
    open.exchange.close("error");
    expect(causes(events)).toEqual([cause]);
    expect(events.at(-1)).toMatchObject({ startOfStream: false, chunkBytes: 0 });
    expect([open.running, held()]).toEqual([0, 0]);
    expect(open.metrics.observations("llm_d_epp_request_duration_seconds")).toEqual([]);
  },
);

test("a request that never got an answer is released", () => {
  const events: ResponseBodyEvent[] = [];
  const { plugin, held } = tracker(events);
  const open = new OpenExchange({ plugins: [plugin] });
  open.request();
  expect(open.running).toBe(1);
  open.exchange.close("client-disconnect");
  expect(causes(events)).toEqual(["client-disconnect"]);
  expect(events[0]).toMatchObject({ startOfStream: true });
  expect([open.running, held()]).toEqual([0, 0]);
  expect(open.errors).toEqual({});
});

test("an answer that was complete keeps its natural end when the stream closes", () => {
  const events: ResponseBodyEvent[] = [];
  const open = new OpenExchange({ plugins: [bodyRecorder(events)] });
  open.request();
  open.clock.advance(1500);
  open.responseHeaders().responseBody("{}", true);
  open.clock.advance(500);
  open.exchange.close("client-disconnect");
  expect(causes(events)).toEqual(["natural"]);
  expect(open.metrics.observations("llm_d_epp_request_duration_seconds", { model_name: "m" })).toEqual([1.5]);
  expect(open.metrics.observations("llm_d_epp_request_ttft_seconds", { streaming: "false" })).toEqual([1.5]);
  expect(open.running).toBe(0);
});

test("the first byte of a stream is timed once, by the first piece that has bytes", () => {
  const open = new OpenExchange();
  open.request({ model: "m", stream: true }).responseHeaders();
  open.clock.advance(100);
  open.responseBody("");
  open.clock.advance(200);
  open.responseBody("data: 1\n\n");
  open.clock.advance(300);
  open.responseBody("data: 2\n\n", true);
  expect(open.metrics.observations("llm_d_epp_request_ttft_seconds", { streaming: "true" })).toEqual([0.3]);
});

test("usage is counted under the request's labels, once the answer is complete, while its stream is open", () => {
  const open = new OpenExchange();
  open.request({ model: "m" }, { "x-llm-d-inference-fairness-id": "tenant" }).responseHeaders();
  open.responseBody('{"usage":{"prompt_tokens":7,');
  expect(open.metrics.observations("llm_d_epp_request_input_tokens")).toEqual([]);
  open.responseBody('"completion_tokens":10,"total_tokens":17}}', true);
  const labels = { model_name: "m", target_model_name: "m", fairness_id: "tenant", priority: "0" };
  expect(open.metrics.observations("llm_d_epp_request_input_tokens", labels)).toEqual([7]);
  expect(open.metrics.observations("llm_d_epp_request_output_tokens", labels)).toEqual([10]);
  open.exchange.responseTrailers();
  open.exchange.close("error");
  expect(open.metrics.observations("llm_d_epp_request_output_tokens", labels)).toEqual([10]);
  expect(open.metrics.value("llm_d_epp_request_total", labels)).toBe(1);
});

test.each([
  { headers: { ":status": "200" }, error: false },
  { headers: { ":status": "299" }, error: false },
  { headers: { status: "200" }, error: false },
  { headers: {}, error: false },
  { headers: { ":status": "none" }, error: false },
  { headers: { ":status": "199" }, error: true },
  { headers: { ":status": "300" }, error: true },
  { headers: { ":status": "503", status: "200" }, error: true },
  { headers: { status: "500" }, error: true },
])("an answer with $headers is a model server error: $error", ({ headers, error }) => {
  const open = new OpenExchange();
  open.request().responseHeaders(headers).responseBody("{}", true);
  open.exchange.close("error");
  open.exchange.close("error");
  expect(open.errors).toEqual(error ? { ModelServerError: 1 } : {});
});

test("a refused request is counted once by its code when it closes", () => {
  const open = new OpenExchange({ endpoints: [] });
  open.request();
  expect(open.errors).toEqual({});
  open.exchange.close("error");
  open.exchange.close("error");
  expect(open.errors).toEqual({ ServiceUnavailable: 1 });
  expect(open.metrics.series("llm_d_epp_request_total")).toEqual([]);
  expect(open.running).toBe(0);
});

test.each([
  ["no headers", {}, "default-flow"],
  ["its header", { "x-llm-d-inference-fairness-id": "tenant" }, "tenant"],
])("a request refused before it was parsed is counted by its fairness id: %s", (_what, headers, fairnessId) => {
  const open = new OpenExchange();
  open.request("not JSON", headers);
  open.exchange.close("error");
  expect(open.metrics.series("llm_d_epp_request_error_total")[0]!.labels).toEqual({
    model_name: "",
    target_model_name: "",
    fairness_id: fairnessId,
    priority: "0",
    error_code: "BadRequest",
  });
});

test("a pre-request refusal releases what other plugins recorded, as an error", () => {
  const events: ResponseBodyEvent[] = [];
  const { plugin, held } = tracker(events);
  const refusing: NamedPlugin<PreRequest> = named({
    preRequest: () => new RequestError("NotFound", "no prefill worker"),
  });
  const open = new OpenExchange({ plugins: [plugin, refusing] });
  open.request();
  expect(open.sink.one("reply").reply.status).toBe(404);
  expect(held()).toBe(1);
  open.exchange.close("error");
  expect(causes(events)).toEqual(["error"]);
  expect([open.running, held()]).toEqual([0, 0]);
  expect(open.errors).toEqual({ NotFound: 1 });
});

test("a body that cannot be rewritten releases what plugins recorded", () => {
  const { plugin, held } = tracker();
  const body = buildBody({
    rewriteModel: () => {
      throw new Error("no such span");
    },
  });
  const parser = named<Parser>({ ...jsonTestParser, parseRequest: () => body });
  const open = new OpenExchange({ plugins: [plugin], parsers: [parser] });
  open.request({ model: "m" }, { "x-llm-d-model-name-rewrite": "n" });
  open.exchange.close("error");
  expect([open.running, held()]).toEqual([0, 0]);
  expect(open.errors).toEqual({ Internal: 1 });
});

test("a refusal before the decision owes the plugins nothing", () => {
  const events: ResponseBodyEvent[] = [];
  const refusing = named({ admitRequest: () => new RequestError("ResourceExhausted", "full") });
  const open = new OpenExchange({ plugins: [refusing, bodyRecorder(events)] });
  open.request();
  open.exchange.close("error");
  expect(events).toEqual([]);
});

test("closing while a stage waits aborts the request; a decision that comes later is released at once", async () => {
  const events: ResponseBodyEvent[] = [];
  const { plugin, held } = tracker(events);
  const { admission, open: admit } = gate();
  const open = new OpenExchange({ plugins: [plugin], admission });
  open.request();
  const { signal } = open.exchange.request!;
  open.exchange.close("client-disconnect");
  expect(signal.aborted).toBe(true);
  expect(held()).toBe(0);
  await admit();
  expect(causes(events)).toEqual(["client-disconnect"]);
  expect([open.running, held()]).toEqual([0, 0]);
  expect(open.sink.calls).toEqual([]);
  expect(open.metrics.series("llm_d_epp_request_total")).toEqual([]);
});

test("closing while a stage waits releases also what a failed pre-request stage recorded", async () => {
  const events: ResponseBodyEvent[] = [];
  const { plugin, held } = tracker(events);
  const refusing: NamedPlugin<PreRequest> = named({ preRequest: () => new RequestError("NotFound", "none") });
  const { admission, open: admit } = gate();
  const open = new OpenExchange({ plugins: [plugin, refusing], admission });
  open.request();
  open.exchange.close("client-disconnect");
  await admit();
  expect(held()).toBe(0);
  expect(open.sink.calls).toEqual([]);
});

test("a refusal that comes after the close is told to nobody", async () => {
  const { admission, open: admit } = gate();
  const open = new OpenExchange({ admission });
  open.request();
  open.exchange.close("client-disconnect");
  await admit(new RequestError("ServiceUnavailable", "client disconnected"));
  expect(open.sink.calls).toEqual([]);
  expect(open.errors).toEqual({});
});

test("a data plane that fails to take a late decision is logged, and the request is released at the close", async () => {
  const { plugin, held } = tracker();
  const { admission, open: admit } = gate();
  const open = new OpenExchange({ plugins: [plugin], admission });
  open.sink.routed = () => {
    throw new Error("stream is gone");
  };
  open.request({ model: "m" }, { "x-request-id": "7" });
  await admit();
  expect(open.logger.of("error").map(({ fields }) => fields)).toEqual([{ requestId: "7", cause: "stream is gone" }]);
  open.exchange.close("error");
  expect([open.running, held()]).toEqual([0, 0]);
});

test("a request whose late decision fails is refused and named in the log", async () => {
  const { admission, open: admit } = gate();
  const endpoint = buildEndpoint(0);
  Object.defineProperty(endpoint, "reachability", {
    get() {
      throw new Error("broken");
    },
  });
  const open = new OpenExchange({ admission, endpoints: [endpoint] });
  open.request({ model: "m" }, { "x-request-id": "7" });
  await admit();
  expect(open.sink.one("reply").reply.status).toBe(500);
  expect(open.sink.one("reply").reply.body).not.toContain("broken");
  expect(open.logger.of("error").map(({ fields }) => fields)).toEqual([{ requestId: "7", cause: "broken" }]);
  open.exchange.close("error");
  expect(open.errors).toEqual({ Internal: 1 });
});

test("a waiting stage holds the request back until it answers", async () => {
  const { admission, open: admit } = gate();
  const open = new OpenExchange({ admission });
  open.request();
  open.exchange.requestTrailers();
  expect(open.sink.calls).toEqual([]);
  await admit();
  expect(open.sink.calls.map(({ call }) => call)).toEqual(["routed"]);
  expect(open.running).toBe(1);
});

test.each([
  { name: "headers and a body", answer: (open: OpenExchange) => open.responseHeaders().responseBody("{}", true) },
  { name: "headers so far", answer: (open: OpenExchange) => open.responseHeaders() },
  { name: "a body alone", answer: (open: OpenExchange) => open.responseBody("{}", true) },
  { name: "trailers alone", answer: (open: OpenExchange) => open.exchange.responseTrailers() },
])(
  "an answer that overtakes the decision, $name, passes on, and the decision is released unsent",
  async ({ answer }) => {
    const events: ResponseBodyEvent[] = [];
    const { plugin, held } = tracker(events);
    const { admission, open: admit } = gate();
    const open = new OpenExchange({ plugins: [plugin], admission });
    open.request();
    answer(open);
    const sent = open.sink.calls.length;
    expect(sent).toBeGreaterThan(0);
    await admit();
    expect(open.sink.calls).toHaveLength(sent);
    expect(open.sink.all("routed")).toEqual([]);
    open.exchange.close("error");
    expect(causes(events)).toEqual(["client-disconnect"]);
    expect([open.running, held()]).toEqual([0, 0]);
  },
);

test("an answer before the end of the request's body ends the request", () => {
  const { plugin, held } = tracker();
  const open = new OpenExchange({ plugins: [plugin] });
  open.requestHeaders().requestBody('{"model":', false).responseBody("too late", true).requestBody('"m"}');
  open.exchange.close("error");
  expect(open.sink.calls.map(({ call }) => call)).toEqual(["responseBody"]);
  expect([open.running, held()]).toEqual([0, 0]);
});

test.each([
  { name: "that has not come whole", isWhole: false },
  { name: "that waits for its decision", isWhole: true },
])("a body $name is held no longer once an answer has overtaken its request", async ({ isWhole }) => {
  const heldBodies = new HeldBodies(1000);
  const { admission, open: admit } = gate();
  const open = new OpenExchange({ admission }, { heldBodies });
  open.requestHeaders().requestBody({ model: "m" }, isWhole);
  open.responseHeaders();
  if (isWhole) {
    expect(heldBodies.bytes).toBe(13);
    await admit();
  }
  expect(heldBodies.bytes).toBe(0);
  open.exchange.close("error");
  expect(heldBodies.bytes).toBe(0);
});

test("plugins hear of one end when the data plane closes over an answer's headers", () => {
  const events: ResponseBodyEvent[] = [];
  const { plugin, held } = tracker(events);
  const open = new OpenExchange({ plugins: [plugin] });
  open.sink.responseHeaders = () => open.exchange.close("client-disconnect");
  open.request().responseHeaders({ ":status": "204" }, true);
  expect(causes(events)).toEqual(["client-disconnect"]);
  expect([open.running, held()]).toEqual([0, 0]);
  expect(open.metrics.observations("llm_d_epp_request_duration_seconds")).toEqual([]);
});

test("nothing is sent after the close", () => {
  const open = new OpenExchange();
  open.exchange.close("client-disconnect");
  open.request().responseHeaders().responseBody("{}", true);
  open.exchange.requestTrailers();
  open.exchange.responseTrailers();
  expect(open.sink.calls).toEqual([]);
});

test("a request without a body is not counted as running", () => {
  const open = new OpenExchange({ endpoints: [buildEndpoint(0)] });
  open.requestHeaders({}, true);
  open.clock.advance(10);
  open.responseHeaders({ ":status": "200" }, true);
  open.exchange.close("error");
  expect(open.running).toBe(0);
  expect(open.metrics.value("llm_d_epp_request_total")).toBe(0);
  expect(open.metrics.observations("llm_d_epp_request_duration_seconds")).toHaveLength(1);
});

test("the gauge goes down under the labels under which it went up", () => {
  const open = new OpenExchange({ objectives: { priorityOf: () => 2 } });
  open.request({ model: "m" }, { "x-llm-d-inference-objective": "gold", "x-llm-d-model-name-rewrite": "n" });
  const labels = { model_name: "m", target_model_name: "n", fairness_id: "default-flow", priority: "2" };
  expect(open.metrics.value("llm_d_epp_request_running", labels)).toBe(1);
  // As a plugin may that looks at the answer.
  open.exchange.request!.priority = 1;
  open.exchange.close("error");
  expect(open.metrics.series("llm_d_epp_request_running").map(({ value }) => value)).toEqual([0]);
});

test("pieces of a stream give the gaps between them, and the work on them without the waiting", () => {
  const open = new OpenExchange();
  open.clock.advance(100);
  open.request({ model: "m", stream: true });
  open.responseHeaders({ ":status": "200", "content-type": "text/event-stream" });
  open.responseBody("data: 1\n\n");
  open.clock.advance(30);
  open.responseBody("data: 2\n\n").responseBody("");
  open.clock.advance(20);
  open.responseBody("data: 3\n\n", true);
  open.exchange.close("error");
  const gaps = open.metrics.observations("llm_d_epp_request_streaming_itl_seconds", { model_name: "m" });
  expect(gaps.map((gap) => Math.round(gap * 1000))).toEqual([30, 20]);
  expect(open.metrics.observations("llm_d_epp_response_size_bytes")).toEqual([27]);
  expect(open.metrics.observations("llm_d_epp_response_processing_duration_seconds")).toEqual([]);
  expect(open.metrics.observations("llm_d_epp_request_processing_duration_seconds")).toHaveLength(1);
});

test("an answer that is no stream is at work from its headers to its end, without gaps", () => {
  const open = new OpenExchange();
  open.request({ model: "m" });
  open.responseHeaders({ ":status": "200", "content-type": "application/json" });
  open.clock.advance(250);
  open.responseBody("{").responseBody("}", true);
  open.clock.advance(100);
  open.exchange.close("error");
  expect(open.metrics.observations("llm_d_epp_response_processing_duration_seconds")).toEqual([0.25]);
  expect(open.metrics.observations("llm_d_epp_request_streaming_itl_seconds")).toEqual([]);
  expect(open.metrics.observations("llm_d_epp_response_size_bytes")).toEqual([2]);
});

test("a refused request counts once with the time it took", () => {
  const open = new OpenExchange({ maxRequestBodyBytes: 5 });
  open.request({ model: "too large" });
  open.exchange.close("error");
  expect(open.metrics.observations("llm_d_epp_request_processing_duration_seconds")).toEqual([0]);
});
