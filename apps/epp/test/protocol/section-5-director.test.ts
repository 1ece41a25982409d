/** Spec ext-proc sections 5, 6 and 7: the stages of a decision, eviction, and clients that leave. */
import {
  type AnyPluginDefinition,
  definePlugin,
  InFlightRequests,
  type PluginInstance,
  PREFIX_MATCH,
  RequestError,
  type ResponseBodyEvent,
} from "@pointsman/core";
import { beforeEach, describe, expect, test } from "vitest";
import { completion, request, response, setTo } from "./support/messages.ts";
import { eventually, onBothTransports } from "./support/picker.ts";

const routed = [request.headers({ ":path": "/v1/completions" }), request.body(completion("a", "m"))] as const;
const sse = { ":status": "200", "content-type": "text/event-stream" };
const held = (events: readonly ResponseBodyEvent[]) =>
  events.filter(({ endOfStream }) => endOfStream).map(({ terminationCause }) => terminationCause);

/** Says that endpoints hold as many blocks of every prompt as told. */
function prefixes(blocks: readonly number[]): AnyPluginDefinition {
  return definePlugin({
    type: "test-prefixes",
    kind: "producer",
    stability: "stable",
    summary: "A test's.",
    produces: () => [PREFIX_MATCH.from("test-prefixes")],
    create(_params, host) {
      const writer = host.requestWriter(PREFIX_MATCH.from("test-prefixes"));
      return {
        produce(req, endpoints) {
          const matchedBlocks = new Int32Array(endpoints.length);
          for (const { slot } of endpoints) matchedBlocks[slot] = blocks[slot] ?? 0;
          writer.set(req, { totalBlocks: 9, blockSizeTokens: 16, matchedBlocks, cachedBlocks: matchedBlocks });
        },
      };
    },
  });
}

const prefixConfig = `
plugins:
  - {type: test-prefixes}
  - {type: prefix-cache-scorer, parameters: {prefixMatchInfoProducerName: test-prefixes}}
  - {type: openai-parser}
  - {type: max-score-picker, parameters: {maxNumOfEndpoints: 2}}
requestHandler: {parsers: [{pluginRef: openai-parser}]}
schedulingProfiles: [{name: default, plugins: [{pluginRef: prefix-cache-scorer}, {pluginRef: max-score-picker}]}]
`;

onBothTransports("5 the stages of a decision", (start) => {
  test("5-1 the hooks run in the order of the stages, those of one kind in the order of the configuration", async () => {
    const order: string[] = [];
    const recorder = (name: string): PluginInstance => ({
      requestHeaders: () => void order.push(`requestHeaders ${name}`),
      screen: (_request, endpoints) => {
        order.push(`screen ${name}`);
        return endpoints;
      },
      produce: () => void order.push(`produce ${name}`),
      admitRequest: () => void order.push(`admitRequest ${name}`),
      preRequest: () => void order.push(`preRequest ${name}`),
      responseHeaders: () => void order.push(`responseHeaders ${name}`),
      responseBody: () => void order.push(`responseBody ${name}`),
    });
    const picker = await start({ plugins: { zeta: recorder("zeta"), alpha: recorder("alpha") } });
    await picker.stream(...routed, response.headers(sse), response.body("data: 1\n\n", true)).until(4);
    expect(order).toEqual(
      ["requestHeaders", "screen", "produce", "admitRequest", "preRequest", "responseHeaders", "responseBody"].flatMap(
        (hook) => [`${hook} zeta`, `${hook} alpha`],
      ),
    );
  });

  test("5-5 the first request-header plugin that refuses ends the request", async () => {
    const order: string[] = [];
    const picker = await start({
      plugins: {
        first: { requestHeaders: () => new RequestError("Unauthorized", "who are you") },
        second: { requestHeaders: () => void order.push("second") },
      },
    });
    expect((await picker.request().all())[0]!.status).toBe(401);
    expect(order).toEqual([]);
  });

  test("5-9 screeners see all candidates each, and their answers are intersected in the endpoints' order", async () => {
    const seen: number[] = [];
    let candidates: readonly string[] = [];
    const keeping = (...kept: readonly number[]): PluginInstance => ({
      screen(_request, endpoints) {
        seen.push(endpoints.length);
        return kept.map((i) => endpoints[i]!);
      },
    });
    const picker = await start({
      pods: [{}, {}, {}],
      plugins: {
        first: keeping(2, 1),
        second: keeping(1, 2),
        looker: {
          admitRequest(_request, endpoints) {
            candidates = endpoints.map(({ hostPort }) => hostPort);
            return undefined;
          },
        },
      },
    });
    await picker.request().until(2);
    expect(seen).toEqual([3, 3]);
    expect(candidates).toEqual(["192.168.1.2:8000", "192.168.1.3:8000"]);
  });

  test("5-10 a producer that fails or takes too long costs its data, and the request goes on", async () => {
    const order: string[] = [];
    const picker = await start({
      plugins: {
        failing: { produce: () => Promise.reject(new Error("no tokenizer")) },
        hanging: { produceTimeoutMs: 20, produce: () => new Promise(() => {}) },
        last: { produce: () => void order.push("last") },
      },
    });
    await picker.request().until(2);
    expect(order).toEqual(["last"]);
    const named = picker.log.filter(({ level }) => level === "error").map(({ fields }) => fields["plugin"]);
    expect(named.sort()).toEqual(["failing", "hanging"]);
  });

  describe("5-13 Prefer: if-available", () => {
    const cases: readonly (readonly [string, string | readonly string[], readonly number[], boolean])[] = [
      ["the target holds part of the prompt", "if-available", [0, 3], true],
      ["nobody holds any of it", "if-available", [0, 0], false],
      ["in capitals", "IF-AVAILABLE", [0, 0], false],
      ["with parameters", "if-available;wait=5", [0, 0], false],
      ["in a list", "respond-async, if-available", [0, 0], false],
      ["repeated", ["respond-async", "if-available"], [0, 0], false],
      ["another preference", "respond-async", [0, 0], true],
      ["a longer word", "if-available-soon", [0, 0], true],
      ["no preference", [], [0, 0], true],
    ];
    test.each(cases)("%s (%j, blocks %j): routed %j", async (_name, prefer, blocks, passes) => {
      const picker = await start({
        pods: [{}, {}],
        config: prefixConfig,
        plugins: { "test-prefixes": prefixes(blocks) },
      });
      const values = typeof prefer === "string" ? [prefer] : prefer;
      const stream = picker.request({ headers: values.map((value) => ["Prefer", value] as const) });
      if (passes) {
        await stream.until(2);
        return;
      }
      expect(await stream.all()).toEqual([
        {
          kind: "immediateResponse",
          status: 412,
          body: "inference error: PreconditionFailed - no decode worker has the requested KV cache",
          set: [],
        },
      ]);
    });

    test("the first target counts, not a fallback", async () => {
      const config = prefixConfig
        .replace(
          "{pluginRef: prefix-cache-scorer}",
          "{pluginRef: prefix-cache-scorer}, {pluginRef: queue-scorer, weight: 99}",
        )
        .replace("  - {type: openai-parser}", "  - {type: openai-parser}\n  - {type: queue-scorer}");
      const picker = await start({
        pods: [{ queue: 0 }, { queue: 9 }],
        config,
        plugins: { "test-prefixes": prefixes([0, 9]) },
      });
      const [plain] = await picker.request().until(1);
      expect(setTo(plain, "x-gateway-destination-endpoint")).toBe("192.168.1.1:8000,192.168.1.2:8000");
      const [reply] = await picker.request({ headers: { prefer: "if-available" } }).all();
      expect(reply!.status).toBe(412);
    });

    test("a refused request is recorded by no plugin, and its decision is not counted", async () => {
      let recorded = 0;
      const picker = await start({ plugins: { recorder: { preRequest: () => void recorded++ } } });
      expect((await picker.request({ headers: { prefer: "if-available" } }).all())[0]!.status).toBe(412);
      expect(recorded).toBe(0);
      expect(await picker.metric("llm_d_epp_request_total")).toBe(0);
    });

    test("the default prefix producer is asked: the second request with a prompt may pass", async () => {
      const picker = await start();
      const body = completion("a long prompt ".repeat(100), "my-model");
      expect((await picker.request({ headers: { prefer: "if-available" }, body }).all())[0]!.status).toBe(412);
      await picker.request({ body }).until(2);
      await picker.request({ headers: { prefer: "if-available" }, body }).until(2);
    });
  });

  test("5-14 pre-request plugins all run, also after one refused", async () => {
    const order: string[] = [];
    const picker = await start({
      plugins: {
        first: { preRequest: () => new RequestError("BadRequest", "no") },
        second: { preRequest: () => void order.push("second") },
      },
    });
    await picker.request().all();
    expect(order).toEqual(["second"]);
  });

  test("5-15 a routed request counts, and runs until its stream ends", async () => {
    const picker = await start();
    const stream = picker.request({ headers: { "x-llm-d-inference-fairness-id": "tenant" } });
    await stream.until(2);
    const labels = { model_name: "my-model", target_model_name: "my-model", fairness_id: "tenant", priority: "0" };
    expect(await picker.metric("llm_d_epp_request_total", labels)).toBe(1);
    expect(await picker.metric("llm_d_epp_request_running", labels)).toBe(1);
    stream.halfClose();
    await stream.all();
    expect(await picker.metric("llm_d_epp_request_running", labels)).toBe(0);
  });
});

onBothTransports("5 how answers end for plugins", (start) => {
  const events: ResponseBodyEvent[] = [];
  beforeEach(() => {
    events.length = 0;
  });
  const watcher: PluginInstance = { responseBody: (_request, _result, event) => void events.push(event) };

  test("5-16 natural: with the last piece", async () => {
    const picker = await start({ plugins: { watcher } });
    await picker.stream(...routed, response.headers(sse), response.body("data: 1\n\n", true)).until(4);
    expect(held(events)).toEqual(["natural"]);
  });

  test("5-16 client-disconnect: at a cancel within the answer", async () => {
    const picker = await start({ plugins: { watcher } });
    const stream = picker.stream(...routed, response.headers(sse), response.body("data: 1\n\n"));
    await stream.until(4);
    stream.cancel();
    await eventually(() => held(events)).toEqual(["client-disconnect"]);
  });

  test("5-16 error: at the refusal of a pre-request plugin", async () => {
    const picker = await start({
      plugins: { watcher, refusing: { preRequest: () => new RequestError("BadRequest", "no") } },
    });
    await picker.request().all();
    expect(held(events)).toEqual(["error"]);
  });

  test("5-16 error: at a malformed message", async () => {
    const picker = await start({ plugins: { watcher } });
    const stream = picker.stream(...routed);
    await stream.until(2);
    expect((await stream.raw(Uint8Array.of(0x0a, 0xff)).end()).code).toBe(3);
    expect(held(events)).toEqual(["error"]);
  });
});

onBothTransports("6 eviction of requests in flight", (start) => {
  const evicted = {
    kind: "immediateResponse",
    status: 429,
    body: "request evicted by flow control",
    set: [["x-llm-d-request-dropped-reason", "evicted"]],
  };

  test.each([
    ["before the answer", []],
    ["after its headers", [response.headers(sse)]],
    ["within it", [response.headers(sse), response.body("data: 1\n\n")]],
  ])("6-1 %s: an immediate 429, then OK, and the cause is evicted", async (_name, messages) => {
    const events: ResponseBodyEvent[] = [];
    const inFlight = new InFlightRequests();
    const picker = await start({
      inFlight,
      plugins: { watcher: { responseBody: (_request, _result, event) => void events.push(event) } },
    });
    const stream = picker.stream(...routed, ...messages);
    await stream.until(2 + messages.length);
    expect([...inFlight].map((entry) => entry.evict())).toEqual([true]);
    expect((await stream.all()).at(-1)).toEqual(evicted);
    expect(held(events)).toEqual(["evicted"]);
    expect(inFlight.size).toBe(0);
    expect(await picker.metric("llm_d_epp_request_running")).toBe(0);
  });

  test("6-2 evicted wins over a client that leaves at the same time", async () => {
    const events: ResponseBodyEvent[] = [];
    const inFlight = new InFlightRequests();
    const picker = await start({
      inFlight,
      plugins: { watcher: { responseBody: (_request, _result, event) => void events.push(event) } },
    });
    const stream = picker.stream(...routed);
    await stream.until(2);
    stream.cancel();
    [...inFlight][0]!.evict();
    await stream.end();
    expect(held(events)).toEqual(["evicted"]);
  });

  test("6-3 ignored once the answer is complete", async () => {
    const inFlight = new InFlightRequests();
    const picker = await start({ inFlight });
    const stream = picker.stream(...routed);
    await stream.until(2);
    const [entry] = [...inFlight];
    await stream.send(response.headers(sse), response.body("data: 1\n\n", true)).until(4);
    expect(inFlight.size).toBe(0);
    expect(entry!.evict()).toBe(false);
    stream.halfClose();
    expect(await stream.all()).toHaveLength(4);
  });

  test("6-4 requests of one id are told apart", async () => {
    const inFlight = new InFlightRequests();
    const picker = await start({ inFlight });
    const streams = [1, 2].map(() => picker.request({ headers: { "x-request-id": "same" } }));
    for (const stream of streams) await stream.until(2);
    expect(inFlight.size).toBe(2);
    [...inFlight][0]!.evict();
    expect(inFlight.size).toBe(1);
    const ended = await Promise.race(streams.map((stream) => stream.all().then(() => stream)));
    expect(ended.replies.at(-1)).toEqual(evicted);
    const left = streams.find((stream) => stream !== ended)!;
    await left.send(response.headers(sse)).until(3);
  });

  test("6-5 what a policy needs is there: priority, time of the decision, target", async () => {
    const inFlight = new InFlightRequests();
    const picker = await start({ inFlight, objectives: { priorityOf: () => -3 } });
    await picker.request({ headers: { "x-llm-d-inference-objective": "bulk" } }).until(2);
    await picker.request().until(2);
    const entries = [...inFlight];
    expect(entries.map((entry) => entry.request.priority)).toEqual([-3, 0]);
    expect(entries[1]!.routedAtMs).toBeGreaterThanOrEqual(entries[0]!.routedAtMs);
    expect(entries[0]!.result.profiles.get("default")!.targets[0]!.hostPort).toBe("192.168.1.1:8000");
  });
});

onBothTransports("7 clients that leave", (start) => {
  test("7-1 while a producer waits: it sees the abort, and nothing is routed", async () => {
    let aborted = false;
    let waiting = false;
    const picker = await start({
      plugins: {
        slow: {
          produceTimeoutMs: 60_000,
          produce: ({ signal }) =>
            new Promise((resolve) => {
              waiting = true;
              signal.addEventListener("abort", () => {
                aborted = true;
                resolve();
              });
            }),
        },
      },
    });
    const stream = picker.request();
    await eventually(() => waiting).toBe(true);
    stream.cancel();
    await eventually(() => aborted).toBe(true);
    await stream.end();
    expect(stream.replies).toEqual([]);
    expect(await picker.metric("llm_d_epp_request_running")).toBe(0);
    expect(await picker.metric("llm_d_epp_request_total")).toBe(0);
  });
});
