import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { queriesOf, usedMetrics } from "./dashboard-queries.ts";
import { type PageFamily, readMetricsPage } from "./metrics-page.ts";
import { endAll, modelServer, runProgram, temporaryFolder } from "./picker.ts";

const folder = fileURLToPath(new URL("../deploy/dashboards", import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));

/** Series that a picker has with Kubernetes only; tools/e2e/deploy.e2e.ts looks for them. */
const withKubernetes = ["llm_d_epp_kubernetes_state_age_seconds", "llm_d_epp_kubernetes_pods", "llm_d_epp_leader"];

const config = `plugins:
  - {type: file-discovery, parameters: {path: endpoints.yaml}}
  - {type: queue-scorer}
  - {type: kv-cache-utilization-scorer}
  - {type: running-requests-size-scorer}
  - {type: prefix-cache-scorer}
  - {type: "@acme/broken-scorer"}
schedulingProfiles:
  - name: default
    plugins:
      - {pluginRef: queue-scorer}
      - {pluginRef: kv-cache-utilization-scorer}
      - {pluginRef: running-requests-size-scorer}
      - {pluginRef: prefix-cache-scorer}
      - {pluginRef: "@acme/broken-scorer"}
dataLayer: {discovery: {pluginRef: file-discovery}}
`;

const brokenScorer = `export default {
  type: "@acme/broken-scorer",
  kind: "scorer",
  stability: "stable",
  summary: "Fails.",
  params: {"~standard": {version: 1, vendor: "test", validate: (value) => ({value: value ?? {}})}},
  create: () => ({score() { throw new Error("broken"); }}),
};
`;

const usage = {
  prompt_tokens: 600,
  completion_tokens: 20,
  total_tokens: 620,
  prompt_tokens_details: { cached_tokens: 64 },
};

async function startModelServer(page: string): Promise<number> {
  return modelServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      if (request.method === "GET") response.end(page);
      else if (body.includes('"overloaded"')) response.writeHead(500).end("{}");
      else if (!body.includes('"stream":true')) {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ usage }));
      } else {
        response.setHeader("content-type", "text/event-stream");
        const pieces = [
          'data: {"choices":[{"index":0,"text":"a"}]}\n\n',
          `data: ${JSON.stringify({ choices: [], usage })}\n\n`,
          "data: [DONE]\n\n",
        ];
        const next = (): void => {
          const piece = pieces.shift();
          if (piece === undefined) response.end();
          else response.write(piece, () => setTimeout(next, 5));
        };
        next();
      }
    });
  });
}

let page: ReadonlyMap<string, PageFamily>;

beforeAll(async () => {
  const directory = temporaryFolder();
  const good = await startModelServer(
    "vllm:num_requests_waiting 3\nvllm:num_requests_running 2\nvllm:kv_cache_usage_perc 0.25\n",
  );
  const poor = await startModelServer("vllm:num_requests_waiting 9\n");
  writeFileSync(
    join(directory, "endpoints.yaml"),
    `endpoints:
- {name: good, address: 127.0.0.1, port: ${good}}
- {name: poor, address: 127.0.0.1, port: ${poor}}
- {name: gone, address: 127.0.0.1, port: 1}
`,
  );
  writeFileSync(join(directory, "epp.yaml"), config);
  const plugin = join(directory, "node_modules/@acme/broken-scorer");
  mkdirSync(plugin, { recursive: true });
  writeFileSync(
    join(plugin, "package.json"),
    '{"name": "@acme/broken-scorer", "version": "1.0.0", "type": "module", "exports": "./index.js"}',
  );
  writeFileSync(join(plugin, "index.js"), brokenScorer);
  const { ready } = await runProgram([
    ...["--config-file", join(directory, "epp.yaml"), "--bind-address=127.0.0.1", "--http-proxy-port=0"],
    ...["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0", "--deprecated-metrics=false"],
  ]);
  const read = async (): Promise<string> => (await fetch(`http://127.0.0.1:${ready["metrics"]}/metrics`)).text();
  await vi.waitUntil(async () => /^llm_d_epp_ready_endpoints\{.*\} 2$/m.test(await read()), {
    interval: 20,
    timeout: 20_000,
  });
  const prompt = "a few words ".repeat(500);
  for (const body of [
    ...Array.from({ length: 3 }, () => JSON.stringify({ model: "m", prompt, stream: true })),
    JSON.stringify({ model: "m", prompt }),
    JSON.stringify({ model: "overloaded", prompt }),
    "no json",
  ]) {
    const answer = await fetch(`http://127.0.0.1:${ready["proxy"]}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    await answer.arrayBuffer();
  }
  await vi.waitUntil(async () => /^llm_d_epp_prefix_indexer_size\{.*\} [1-9]/m.test(await read()), {
    interval: 20,
    timeout: 20_000,
  });
  page = readMetricsPage(await read());
}, 180_000);
afterAll(endAll);

test("there are dashboards, each with an id of its own", () => {
  expect(files.length).toBeGreaterThan(2);
  const ids = files.map(
    (file) => (JSON.parse(readFileSync(join(folder, file), "utf8")) as { readonly uid: string }).uid,
  );
  expect(new Set(ids).size).toBe(files.length);
});

const uses = files.flatMap((file) =>
  queriesOf(readFileSync(join(folder, file), "utf8")).flatMap((query) =>
    usedMetrics(query.promql, query.legend).map((used) => ({ file, panel: query.panel, ...used })),
  ),
);

test.each(uses.filter(({ metric }) => !withKubernetes.includes(metric)))(
  "$file, $panel: $metric with $labels is on the page",
  ({ metric, labels }) => {
    const histogram = metric.replace(/_(bucket|sum|count)$/, "");
    const family = page.get(metric) ?? page.get(histogram);
    expect(family, `no metric ${metric}`).toBeDefined();
    if (!page.has(metric)) expect(family!.type).toBe("histogram");
    // What only counts rare events has no series here, and without labels it needs none.
    if (labels.length > 0) expect(family!.labelSets.size, `${metric} has no series`).toBeGreaterThan(0);
    for (const set of family!.labelSets) {
      const known = new Set(set.split(","));
      if (metric.endsWith("_bucket")) known.add("le");
      expect(labels.filter((label) => !known.has(label))).toEqual([]);
    }
  },
);

test("only series of Kubernetes are left to the test with an API server", () => {
  expect(withKubernetes.filter((name) => page.has(name))).toEqual([]);
  expect([...new Set(uses.map(({ metric }) => metric))]).toEqual(expect.arrayContaining(withKubernetes));
});

test("what a query reads is found in it", () => {
  expect(
    usedMetrics(
      'topk(3, sum by (le, a) (rate(x_bucket{job=~"$job",b="1"}[5m]))) / on (a) max(y{job="j"}) * rate(z[1m])',
      "{{c}}",
    ),
  ).toEqual([
    { metric: "x_bucket", labels: ["a", "b", "c", "le"] },
    { metric: "y", labels: ["a", "c"] },
    { metric: "z", labels: ["a", "c"] },
  ]);
});
