/**
 * Spec ext-proc section 11: the cases of the Go picker's integration suite. What differs on purpose: headers that do not
 * change are not set again, and bodies keep their bytes.
 */
import type { ModelRewrites, Objectives } from "@pointsman/core";
import { expect, test } from "vitest";
import { completion, request, response, subset } from "./support/messages.ts";
import { onBothTransports, type Picker, type Pod } from "./support/picker.ts";

const objectives: Objectives = {
  priorityOf: (name) =>
    new Map([
      ["sql-lora", 2],
      ["my-model", 2],
      ["direct-model", 2],
      ["sql-lora-sheddable", 0],
      ["inference-objective-with-priority-4", 4],
    ]).get(name),
};
const rewrites: ModelRewrites = {
  choose: (model) =>
    model === "model-to-be-rewritten" ? { rewrite: "rewrite", targetModel: "rewritten-model" } : undefined,
};

/** LLM(prompt, model, target) of the spec. */
function llm(picker: Picker, prompt: string, model: string, target: string, hint?: readonly string[]) {
  const headers = {
    hi: "mom",
    "x-request-id": "test-request-id",
    "x-llm-d-inference-objective": model,
    "x-llm-d-model-name-rewrite": target,
  };
  const metadata = hint === undefined ? undefined : subset([...hint]);
  return picker.stream(
    request.headers(headers, false, metadata),
    request.body(completion(prompt, model), true, metadata),
  );
}

/** Route(endpoint, model, prompt) of the spec. */
function route(endpoint: string, model: string, prompt: string) {
  const body = completion(prompt, model);
  return [
    {
      kind: "requestHeaders",
      set: [
        ["x-gateway-destination-endpoint", endpoint],
        ["Content-Length", String(body.length)],
      ],
      remove: ["x-llm-d-inference-objective", "x-llm-d-model-name-rewrite"],
      clearRouteCache: true,
      metadata: { "envoy.lb": { "x-gateway-destination-endpoint": endpoint } },
    },
    { kind: "requestBody", body, bytes: body.length, endOfStream: true },
  ];
}

const threePods: readonly Pod[] = [
  { queue: 3, kv: 0.2 },
  { queue: 0, kv: 0.1 },
  { queue: 10, kv: 0.2 },
];

onBothTransports("11 hermetic cases", (start) => {
  test("11-1 lower queue and kv", async () => {
    const picker = await start({ pods: threePods, objectives });
    expect(await llm(picker, "test1", "my-model", "my-model-12345").until(2)).toEqual(
      route("192.168.1.2:8000", "my-model-12345", "test1"),
    );
    const labels = { model_name: "my-model", target_model_name: "my-model-12345", priority: "2" };
    expect(await picker.metric("llm_d_epp_request_total", labels)).toBe(1);
    expect(await picker.metric("llm_d_epp_ready_endpoints", { name: "vllm-qwen3-32b-pool" })).toBe(3);
  });

  test("11-2 active LoRA", async () => {
    const pods = [
      { queue: 0, kv: 0.2 },
      { queue: 0, kv: 0.1, models: ["sql-lora-1fdg2"] },
      { queue: 10, kv: 0.2 },
    ];
    const picker = await start({ pods, objectives });
    expect(await llm(picker, "test2", "sql-lora", "sql-lora-1fdg2").until(2)).toEqual(
      route("192.168.1.2:8000", "sql-lora-1fdg2", "test2"),
    );
  });

  test("11-3 LoRA over kv", async () => {
    // No server has room for another adapter.
    const pods = [
      { queue: 10, kv: 0.2, models: ["foo"], maxModels: 1 },
      { queue: 10, kv: 0.4, models: ["foo", "sql-lora-1fdg2"], maxModels: 2 },
      { queue: 10, kv: 0.3, models: ["foo"], maxModels: 1 },
    ];
    const picker = await start({ pods, objectives });
    expect(await llm(picker, "test3", "sql-lora", "sql-lora-1fdg2").until(2)).toEqual(
      route("192.168.1.2:8000", "sql-lora-1fdg2", "test3"),
    );
  });

  test("11-4 no shedding by default", async () => {
    const pods = [
      { queue: 6, kv: 0.2, models: ["sql-lora-1fdg3"] },
      { queue: 1, kv: 0.85 },
      { queue: 10, kv: 0.9 },
    ];
    const picker = await start({ pods, objectives });
    expect(await llm(picker, "test4", "sql-lora-sheddable", "sql-lora-1fdg3").until(2)).toEqual(
      route("192.168.1.1:8000", "sql-lora-1fdg3", "test4"),
    );
  });

  test("11-5 no pods", async () => {
    const picker = await start({ pods: [] });
    const [reply] = await picker.stream(request.headers({ "content-type": "application/json" }, true)).all();
    expect(reply!.status).toBe(503);
  });

  test.each([
    ["11-6 missing model", '{"prompt":"hello world"}', "model not found in request body"],
    [
      "11-7 invalid JSON",
      "no healthy upstream",
      "error unmarshaling request bodyMap: invalid character 'o' in literal null (expecting 'u')",
    ],
  ])("%s", async (_name, body, text) => {
    const picker = await start({ pods: [] });
    expect(await picker.request({ headers: { hi: "mom" }, body }).all()).toEqual([
      { kind: "immediateResponse", status: 400, body: `inference error: BadRequest - ${text}`, set: [] },
    ]);
  });

  test("11-8 split body", async () => {
    const picker = await start({
      pods: [
        { queue: 4, kv: 0.2 },
        { queue: 4, kv: 0.85 },
      ],
      objectives,
    });
    const whole = completion("test6", "sql-lora-sheddable");
    const headers = {
      "x-llm-d-inference-objective": "sql-lora-sheddable",
      "x-llm-d-model-name-rewrite": "sql-lora-1fdg3",
    };
    const stream = picker.stream(
      request.headers(headers),
      request.body(whole.slice(0, 30), false),
      request.body(whole.slice(30)),
    );
    const replies = await stream.until(2);
    expect(replies[1]!.body).toBe(completion("test6", "sql-lora-1fdg3"));
    expect(await picker.metric("llm_d_epp_request_total", { priority: "0" })).toBe(1);
  });

  test("11-10 same-name rewrite header: bytes unchanged", async () => {
    const picker = await start({ objectives });
    expect(await llm(picker, "test8", "direct-model", "direct-model").until(2)).toEqual(
      route("192.168.1.1:8000", "direct-model", "test8"),
    );
  });

  test("11-11 rewrite rule: it beats the header", async () => {
    const picker = await start({
      pods: [
        { queue: 0, kv: 0.1 },
        { queue: 5, kv: 0.1 },
      ],
      objectives,
      rewrites,
    });
    const text = completion("test-rewrite", "model-to-be-rewritten");
    const [, body] = await llm(picker, "test-rewrite", "model-to-be-rewritten", "model-to-be-rewritten").until(2);
    expect(body!.body).toBe(text.replace("model-to-be-rewritten", "rewritten-model"));
  });

  test.each([
    ["all three", ["192.168.1.1:8000", "192.168.1.2:8000", "192.168.1.3:8000"], "192.168.1.2:8000"],
    ["one, despite its load", ["192.168.1.3:8000"], "192.168.1.3:8000"],
  ])("11-12 subset of %s", async (_name, hint, endpoint) => {
    const picker = await start({ pods: threePods, objectives });
    expect(await llm(picker, "test2", "sql-lora", "sql-lora-1fdg2", hint).until(2)).toEqual(
      route(endpoint, "sql-lora-1fdg2", "test2"),
    );
  });

  test("11-13 subset no match", async () => {
    const picker = await start({ pods: threePods, objectives });
    expect(await llm(picker, "test2", "sql-lora", "sql-lora-1fdg2", ["192.168.1.99:8000"]).all()).toEqual([
      {
        kind: "immediateResponse",
        status: 503,
        body: "inference error: ServiceUnavailable - failed to find endpoint candidates for serving the request",
        set: [["x-llm-d-request-dropped-reason", "rejected-no-endpoints"]],
      },
    ]);
  });

  test("11-14 GET", async () => {
    const picker = await start();
    const [reply] = await picker.stream(request.headers({ ":method": "GET", ":path": "/v1/models" }, true)).until(1);
    expect(reply!.kind).toBe("requestHeaders");
  });

  const jsonText = '{"max_tokens":100,"model":"sql-lora-sheddable","prompt":"test6","temperature":0}';
  test.each([
    ["11-15 JSON response, 2 chunks", [jsonText.slice(0, 40), jsonText.slice(40)]],
    ["11-16 invalid JSON response", ["no healthy upstream"]],
    ["11-16 trailing empty EOS chunk", [jsonText, ""]],
  ])("%s", async (_name, chunks) => {
    const picker = await start();
    const stream = picker.stream(response.headers({ "content-type": "application/json" }));
    chunks.forEach((chunk, i) => void stream.send(response.body(chunk, i === chunks.length - 1)));
    const text = chunks.join("");
    expect(await stream.until(2)).toEqual([
      { kind: "responseHeaders", set: [["x-went-into-resp-headers", "true"]], remove: [], clearRouteCache: false },
      { kind: "responseBody", body: text, bytes: text.length, endOfStream: true },
    ]);
  });

  test("11-17 SSE usage", async () => {
    const picker = await start();
    const chunks = [
      'data: {"id":"1","choices":[]}\n\n',
      'data: {"usage":{"prompt_tokens":7,"total_tokens":17,"completion_tokens":10}}\n\ndata: [DONE]\n\n',
      "",
    ];
    const stream = picker.stream(response.headers({ "content-type": "text/event-stream", status: "200" }));
    chunks.forEach((chunk, i) => void stream.send(response.body(chunk, i === 2)));
    const bodies = (await stream.until(4)).slice(1);
    expect(bodies.map(({ body, endOfStream }) => [body, endOfStream])).toEqual(
      chunks.map((chunk, i) => [chunk, i === 2]),
    );
    stream.halfClose();
    await stream.all();
    expect(await picker.metric("llm_d_epp_request_input_tokens_sum", { model_name: "" })).toBe(7);
    expect(await picker.metric("llm_d_epp_request_input_tokens_count", { model_name: "" })).toBe(1);
  });

  test("11-18 endpoint scores: of every candidate, all at least 0, those of destinations included", async () => {
    const picker = await start({ pods: [{}, { queue: 2 }], flags: ["--emit-endpoint-scores"] });
    const [reply] = await picker.request().until(1);
    const lb = reply!.metadata!["envoy.lb"] as Record<string, unknown>;
    const scores = lb["x-gateway-destination-endpoint-scores"] as Record<string, number>;
    expect(Object.keys(scores)).toHaveLength(2);
    for (const endpoint of String(lb["x-gateway-destination-endpoint"]).split(","))
      expect(scores).toHaveProperty([endpoint]);
    expect(Math.min(...Object.values(scores))).toBeGreaterThanOrEqual(0);
  });

  test("11-19 5 MB in one message on the default limit: stream error", async () => {
    const picker = await start();
    const stream = picker.stream(request.headers({}), request.body(new Uint8Array(5 * 1024 * 1024)));
    expect((await stream.end()).code).toBe(8);
  });
});
