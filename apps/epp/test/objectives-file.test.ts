import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "@pointsman/testkit";
import { afterEach, expect, test } from "vitest";
import { ExtProcStream, endAll, modelServer, startPicker, temporaryFolder } from "./picker.ts";

afterEach(endAll);

const objectives = `objectives:
- metadata: {name: urgent}
  spec: {priority: 7}
- metadata: {name: batch}
  spec: {priority: -3}
`;
const rewrites = `modelRewrites:
- metadata: {name: canary}
  spec:
    rules:
    - matches: [{model: {value: m}}]
      targets: [{modelRewrite: m-v1, weight: 3}, {modelRewrite: m-v2, weight: 1}]
`;

/** Nothing in it reads bodies. */
const bodyless = `plugins:
  - {type: file-discovery, parameters: {path: endpoints.yaml, watchFile: true}}
  - {type: queue-scorer}
schedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer}]}]
dataLayer: {discovery: {pluginRef: file-discovery}}
`;

async function start(policies: string, flags: readonly string[] = [], config: string | undefined = undefined) {
  const modelPort = await modelServer((_request, response) => response.end("vllm:num_requests_waiting 0\n"));
  const folder = temporaryFolder();
  const file = join(folder, "endpoints.yaml");
  const write = (text: string): void => {
    writeFileSync(join(folder, "new.yaml"), `endpoints: [{name: a, address: 127.0.0.1, port: ${modelPort}}]\n${text}`);
    renameSync(join(folder, "new.yaml"), file);
  };
  write(policies);
  const configFile = join(folder, "epp.yaml");
  if (config !== undefined) writeFileSync(configFile, config);
  const { ports } = await startPicker(
    [
      ...(config === undefined ? ["--endpoints-file", file] : ["--config-file", configFile]),
      ...["--bind-address=127.0.0.1", "--secure-serving=false"],
      ...["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0", ...flags],
    ],
    { random: seededRandom(7) },
  );
  const page = async (): Promise<string> => (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
  return { ports, write, page };
}

const bodyOf = (stream: ExtProcStream): string =>
  stream.replies
    .flatMap(({ response }) => {
      const mutation =
        response.case === "requestBody" || response.case === "responseBody"
          ? response.value.response?.bodyMutation?.mutation
          : undefined;
      return mutation?.case === "streamedResponse" ? [Buffer.from(mutation.value.body).toString()] : [];
    })
    .join("");

async function routed(port: number, headers: Readonly<Record<string, string>> = {}): Promise<ExtProcStream> {
  const stream = new ExtProcStream(port).request(headers);
  await expect.poll(() => bodyOf(stream)).toContain('"model"');
  return stream;
}

test("the objective that a request names gives its priority; an unknown one gives 0", async () => {
  const { ports, page } = await start(objectives);
  for (const name of ["urgent", "batch", "unknown"]) {
    await routed(ports.extProc, { "x-llm-d-inference-objective": name });
  }
  const text = await page();
  for (const priority of ["7", "-3", "0"]) {
    expect(text).toMatch(new RegExp(`^llm_d_epp_request_total\\{.*priority="${priority}"\\} 1$`, "m"));
  }
});

test("a rewrite sends requests to its targets by weight, and the client sees the name it asked for", async () => {
  const { ports, page } = await start(rewrites);
  const targets: Record<string, number> = {};
  for (let i = 0; i < 40; i++) {
    const stream = await routed(ports.extProc);
    const { model } = JSON.parse(bodyOf(stream)) as { readonly model: string };
    targets[model] = (targets[model] ?? 0) + 1;
    if (i === 0) {
      stream.answer(JSON.stringify({ model, choices: [] }));
      await expect.poll(() => bodyOf(stream)).toContain('{"model":"m","choices":[]}');
    }
    stream.end();
  }
  expect(Object.keys(targets).sort()).toEqual(["m-v1", "m-v2"]);
  expect(targets["m-v1"]).toBeGreaterThan(targets["m-v2"]!);
  const text = await page();
  for (const [target, count] of Object.entries(targets)) {
    expect(text).toContain(
      `llm_d_epp_model_rewrite_decisions_total{model_rewrite_name="canary",model_name="m",target_model="${target}"} ${count}\n`,
    );
    expect(text).toMatch(new RegExp(`llm_d_epp_request_total\\{model_name="m",target_model_name="${target}"`));
  }
});

test("rules apply also where nothing else reads bodies, and follow the file", async () => {
  const { ports, write } = await start("", ["--request-metrics=false"], bodyless);
  const first = await routed(ports.extProc);
  expect(bodyOf(first)).toContain('"model":"m"');
  write(rewrites.replace("{modelRewrite: m-v1, weight: 3}, ", ""));
  await expect.poll(async () => bodyOf(await routed(ports.extProc)), { interval: 100 }).toContain('"model":"m-v2"');
  write("");
  await expect.poll(async () => bodyOf(await routed(ports.extProc)), { interval: 100 }).toContain('"model":"m"');
});

test("a mistake among the rules ends the start with its place", async () => {
  await expect(start("modelRewrites: [{metadata: {name: a}, spec: {}}]\n")).rejects.toThrow(
    /endpoints\.yaml:2:17 rules is missing/,
  );
});
