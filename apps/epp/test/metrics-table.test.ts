import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type PageFamily, readMetricsPage } from "./metrics-page.ts";
import { absentMetrics, deprecatedRows, metricRows, ownMetrics } from "./metrics-table.ts";
import { ExtProcStream, endAll, modelServer, type Picker, startPicker, temporaryFolder } from "./picker.ts";

const prefix = "llm_d_epp_";

/** Two handlers exclude each other, so there are two configurations. */
const configurations = {
  disagg: `plugins:
  - {type: file-discovery, parameters: {path: endpoints.yaml}}
  - {type: always-disagg-pd-decider}
  - {type: disagg-profile-handler, parameters: {deciders: {prefill: always-disagg-pd-decider}}}
  - {type: prefill-filter}
  - {type: decode-filter}
  - {type: queue-scorer}
  - {type: kv-cache-utilization-scorer}
  - {type: running-requests-size-scorer}
  - {type: prefix-cache-scorer}
  - {type: token-load-scorer}
  - {type: mm-embeddings-cache-scorer}
  - {type: utilization-detector}
  - type: predicted-latency-producer
    parameters: {streamingMode: true}
  - type: disaggregatedset-rollout-screener
    parameters:
      scope: {labelSelector: set=a}
      headerSelectors: [{name: revision, headerName: x-revision, labelKey: revision, mode: strict}]
      revisionGating: {mode: sum, revisionLabelKey: revision, roleLabelKey: llm-d.ai/role, requireRoles: {values: [prefill, decode]}}
schedulingProfiles:
  - name: prefill
    plugins: [{pluginRef: prefill-filter}, {pluginRef: queue-scorer}]
  - name: decode
    plugins:
      - {pluginRef: decode-filter}
      - {pluginRef: queue-scorer}
      - {pluginRef: kv-cache-utilization-scorer}
      - {pluginRef: running-requests-size-scorer}
      - {pluginRef: prefix-cache-scorer}
      - {pluginRef: token-load-scorer}
      - {pluginRef: mm-embeddings-cache-scorer}
flowControl: {saturationDetector: {pluginRef: utilization-detector}}
dataLayer: {discovery: {pluginRef: file-discovery}}
`,
  pd: `plugins:
  - {type: file-discovery, parameters: {path: endpoints.yaml}}
  - {type: always-disagg-pd-decider}
  - {type: pd-profile-handler, parameters: {deciderPluginName: always-disagg-pd-decider}}
  - {type: prefill-filter}
  - {type: decode-filter}
  - {type: queue-scorer}
schedulingProfiles:
  - name: prefill
    plugins: [{pluginRef: prefill-filter}, {pluginRef: queue-scorer}]
  - name: decode
    plugins: [{pluginRef: decode-filter}, {pluginRef: queue-scorer}]
dataLayer: {discovery: {pluginRef: file-discovery}}
`,
};

const enginePage = `vllm:num_requests_waiting 3
vllm:num_requests_running 2
vllm:kv_cache_usage_perc 0.25
`;

async function startWith(config: string, flags: readonly string[] = []): Promise<Picker> {
  const good = await modelServer((request, response) => {
    request.resume();
    if (request.method === "GET") response.end(enginePage);
    else response.end('{"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}');
  });
  const poor = await modelServer((_request, response) => response.end("vllm:num_requests_waiting 9\n"));
  const folder = temporaryFolder();
  const labels = (role: string): string => `{"llm-d.ai/role": ${role}, set: a, revision: r1}`;
  writeFileSync(
    join(folder, "endpoints.yaml"),
    `endpoints:
- {name: decode-0, address: 127.0.0.1, port: ${good}, labels: ${labels("decode")}}
- {name: prefill-0, address: 127.0.0.1, port: ${good}, labels: ${labels("prefill")}}
- {name: poor-0, address: 127.0.0.1, port: ${poor}, labels: ${labels("prefill")}}
- {name: gone-0, address: 127.0.0.1, port: 1, labels: ${labels("prefill")}}
objectives:
- {metadata: {name: batch}, spec: {priority: -1}}
modelRewrites:
- {metadata: {name: canary}, spec: {rules: [{matches: [{model: {value: asked}}], targets: [{modelRewrite: served}]}]}}
`,
  );
  writeFileSync(join(folder, "epp.yaml"), config);
  const picker = await startPicker([
    ...["--config-file", join(folder, "epp.yaml"), "--bind-address=127.0.0.1", "--allow-experimental-plugins"],
    ...["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0", "--secure-serving=false"],
    ...["--enable-grpc-stream-metrics", ...flags],
  ]);
  for (const { instance } of picker.graph.plugins) {
    for (const role of ["prefill", "decode"]) {
      instance.resourceChanged?.({
        type: "addOrUpdate",
        object: {
          metadata: { namespace: "default", name: role, labels: { set: "a", revision: "r1", "llm-d.ai/role": role } },
          status: { conditions: [{ type: "Ready", status: "True" }] },
        },
      });
    }
    instance.resourceChanged?.({ type: "synced" });
  }
  return picker;
}

const pageOf = async ({ ports }: Picker): Promise<string> =>
  (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();

/** Waits until something is so. */
const holds = (condition: () => boolean | Promise<boolean>): Promise<unknown> =>
  vi.waitUntil(condition, { interval: 5, timeout: 20_000 });

const image = { type: "image_url", image_url: { url: "https://example.com/a.png" } };
const chat = (model: string): string =>
  JSON.stringify({
    model,
    stream: true,
    messages: [{ role: "user", content: [{ type: "text", text: "a few words ".repeat(200) }, image] }],
  });

/** A streamed answer in three pieces, with usage. */
async function streamed(port: number, model: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
  const stream = new ExtProcStream(port).request({ ":path": "/v1/chat/completions", ...headers }, chat(model));
  await holds(() => stream.requestHeadersSet()?.["x-gateway-destination-endpoint"] !== undefined);
  stream.send({
    request: {
      case: "responseHeaders",
      value: {
        headers: {
          headers: [
            { key: ":status", rawValue: Buffer.from("200") },
            { key: "content-type", rawValue: Buffer.from("text/event-stream") },
          ],
        },
      },
    },
  });
  const usage = {
    prompt_tokens: 600,
    completion_tokens: 20,
    total_tokens: 620,
    prompt_tokens_details: { cached_tokens: 64 },
  };
  const pieces = [
    'data: {"choices":[]}\n\n',
    `data: ${JSON.stringify({ choices: [], usage })}\n\n`,
    "data: [DONE]\n\n",
  ];
  for (const [at, piece] of pieces.entries()) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const value = { body: Buffer.from(piece), endOfStream: at === pieces.length - 1 };
    stream.send({ request: { case: "responseBody", value } });
  }
  await holds(() => stream.replies.at(-1)?.response.case === "responseBody");
  stream.end();
  await stream.ended;
}

/** A request that the picker or the model server refuses. */
async function failing(port: number, headers: Readonly<Record<string, string>>, body?: string): Promise<void> {
  const stream = new ExtProcStream(port).request(headers, body);
  await holds(() => stream.replies.length > 0);
  if (stream.requestHeadersSet() !== undefined) stream.answer('{"error":"overloaded"}', { ":status": "500" });
  stream.end();
  await stream.ended;
}

let disagg: ReadonlyMap<string, PageFamily>;
/** Of both configurations: what one lacks, the other shows. */
let merged: ReadonlyMap<string, PageFamily>;
let disaggPicker: Picker;

beforeAll(async () => {
  const predictor = await modelServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.url?.includes("training") === true) {
        response.writeHead(202).end("{}");
        return;
      }
      const { requests = [] } = JSON.parse(Buffer.concat(chunks).toString()) as {
        readonly requests?: readonly unknown[];
      };
      const predictions = requests.map(() => ({ ttft_ms: 1, tpot_ms: 1, model_version: "1" }));
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ predictions }));
    });
  });
  vi.stubEnv("PREDICTION_SERVER_URL", `http://127.0.0.1:${predictor}`);
  vi.stubEnv("TRAINING_SERVER_URL", `http://127.0.0.1:${predictor}`);
  disaggPicker = await startWith(configurations.disagg);
  const { extProc } = disaggPicker.ports;
  // Until something was scraped, a sheddable request is refused as one to a saturated pool.
  await failing(extProc, { "x-llm-d-inference-objective": "batch" });
  await holds(async () => /^llm_d_epp_ready_endpoints\{name="epp"\} 3$/m.test(await pageOf(disaggPicker)));
  const slo = { "x-llm-d-slo-ttft-ms": "0.001", "x-llm-d-slo-tpot-ms": "0.001" };
  for (let i = 0; i < 2; i++) await streamed(extProc, "asked", slo);
  await failing(extProc, {}, "no json");
  await failing(extProc, { "x-revision": "unknown" });
  await failing(extProc, {});
  await holds(async () => /^llm_d_epp_prefix_indexer_size\{.*\} [1-9]/m.test(await pageOf(disaggPicker)));
  disagg = readMetricsPage(await pageOf(disaggPicker));

  const pd = await startWith(configurations.pd);
  await failing(pd.ports.extProc, {});
  merged = new Map([...readMetricsPage(await pageOf(pd)), ...disagg]);
}, 180_000);
afterAll(endAll);

test.each(metricRows)(
  "$name is on the page with its type, labels and buckets",
  ({ name, type, labels, buckets, seen }) => {
    const family = merged.get(prefix + name);
    expect(family?.type).toBe(type);
    if (seen === "declared") {
      expect(family?.values.size).toBe(0);
      return;
    }
    expect([...family!.labelSets]).toEqual([labels.toSorted().join(",")]);
    if (buckets !== undefined) expect([...family!.bucketLists]).toEqual([buckets.join(",")]);
  },
);

test.each([...absentMetrics])("%s is absent: %s", (name) => {
  expect(merged.has(prefix + name)).toBe(false);
});

test("nothing of this prefix is on the page that neither the specification nor this table knows", () => {
  const known = new Set([...metricRows.map(({ name }) => name), ...ownMetrics]);
  const unknown = [...merged.keys()].filter((name) => name.startsWith(prefix) && !known.has(name.slice(prefix.length)));
  expect(unknown).toEqual([]);
});

test.each(deprecatedRows)("%s shows %s under the labels of earlier releases", (name, of, labels) => {
  const [old, current] = [merged.get(name), merged.get(prefix + of)!];
  expect(old?.type).toBe(current.type);
  expect([...old!.labelSets]).toEqual([labels.toSorted().join(",")]);
  expect([...old!.bucketLists]).toEqual([...current.bucketLists]);
  const sum = (values: ReadonlyMap<string, number>): number => [...values.values()].reduce((a, b) => a + b, 0);
  expect(sum(old!.values)).toBe(sum(current.values));
});

test("no other old names are on the page", () => {
  const known = new Set(deprecatedRows.map(([name]) => name));
  const old = [...merged.keys()].filter((name) => /^(inference_|llm_d_inference_|kvcache_|llm_d_router)/.test(name));
  expect(old.filter((name) => !known.has(name))).toEqual([]);
});

test("errors count under their codes, those of a model server too", () => {
  const codes = [...disagg.get(`${prefix}request_error_total`)!.values].map(
    ([series, count]) => `${/error_code="(\w+)"/.exec(series)?.[1]} ${count}`,
  );
  expect(codes.toSorted()).toEqual([
    "BadRequest 1",
    "ModelServerError 1",
    "ResourceExhausted 1",
    "ServiceUnavailable 1",
  ]);
});

test("model_name is the name asked for, target_model_name the one served, also where predictions are timed", () => {
  for (const name of ["request_total", "request_ttft_prediction_duration_seconds"]) {
    const series = [...disagg.get(prefix + name)!.values.keys()].join("\n");
    expect(series).toContain('model_name="asked",target_model_name="served"');
    expect(series).not.toMatch(/(^|,)model_name="served"/m);
  }
});

test("the gauges of a pool are those of its endpoints", () => {
  const poolGauge = (name: string): number | undefined => disagg.get(prefix + name)!.values.get('name="epp"');
  expect(poolGauge("average_queue_size")).toBe(5);
  expect(poolGauge("std_dev_queue_size")).toBeCloseTo(Math.sqrt(12));
  expect(poolGauge("average_kv_cache_utilization")).toBe(0.25);
  expect(poolGauge("std_dev_kv_cache_utilization")).toBe(0);
  expect([...disagg.get(`${prefix}per_endpoint_queue_size`)!.values.keys()].toSorted()).toEqual([
    'name="epp",model_server_endpoint="decode-0",namespace="default"',
    'name="epp",model_server_endpoint="poor-0",namespace="default"',
    'name="epp",model_server_endpoint="prefill-0",namespace="default"',
  ]);
});

test("without the flag old names are not on the page", async () => {
  const picker = await startWith(configurations.pd, ["--deprecated-metrics=false"]);
  await failing(picker.ports.extProc, {});
  const names = [...readMetricsPage(await pageOf(picker)).keys()];
  expect(names.filter((name) => !name.startsWith(prefix))).toEqual([]);
});

test("5,000 models and fairness ids leave a bounded number of series on the page", async () => {
  const picker = await startWith(configurations.disagg, ["--http-proxy-port=0"]);
  await holds(async () => /^llm_d_epp_ready_endpoints\{name="epp"\} 3$/m.test(await pageOf(picker)));
  let next = 0;
  const sendSome = async (): Promise<void> => {
    while (next < 5000) {
      const i = next++;
      const answer = await fetch(`http://127.0.0.1:${picker.ports.proxy}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-llm-d-inference-fairness-id": `tenant-${i}` },
        body: JSON.stringify({ model: `model-${i}`, prompt: "x" }),
      });
      expect(answer.status).toBe(200);
      await answer.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: 64 }, sendSome));
  const page = readMetricsPage(await pageOf(picker));
  for (const [name, family] of page) {
    const values = new Map<string, Set<string>>();
    for (const series of family.values.keys()) {
      for (const [, label = "", value = ""] of series.matchAll(/(\w+)="([^"]*)"/g)) {
        values.set(label, (values.get(label) ?? new Set()).add(value));
      }
    }
    for (const [label, distinct] of values) {
      // A thousand, `other`, the empty one, and those that rewrite rules name.
      expect(distinct.size, `${name}: ${label}`).toBeLessThanOrEqual(1004);
    }
    expect(family.values.size, name).toBeLessThanOrEqual(10_000);
  }
  const total = [...page.get(`${prefix}request_total`)!.values.values()].reduce((a, b) => a + b, 0);
  expect(total).toBe(5000);
}, 300_000);
