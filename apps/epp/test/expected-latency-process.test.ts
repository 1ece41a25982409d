/** Expected-latency routing in a picker with all its ports: what `epp explain` and the metrics page say of it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { explainCommand } from "../src/cli/explain.ts";
import { readMetricsPage } from "./metrics-page.ts";
import { ExtProcStream, endAll, modelServer, startPicker, temporaryFolder } from "./picker.ts";

const recommended = join(import.meta.dirname, "../examples/expected-latency.yaml");

afterEach(async () => {
  vi.restoreAllMocks();
  await endAll();
});

/** The recommended profile for a pool of one model server. */
function configWithDiscovery(modelPort: number): string {
  const folder = temporaryFolder();
  const [file, endpoints] = [join(folder, "epp.yaml"), join(folder, "endpoints.yaml")];
  writeFileSync(endpoints, `endpoints: [{name: a, address: 127.0.0.1, port: "${modelPort}"}]\n`);
  const discovery = `  - {type: file-discovery, parameters: {path: ${JSON.stringify(endpoints)}}}`;
  const text = readFileSync(recommended, "utf8").replace(/^plugins:$/m, `plugins:\n${discovery}`);
  writeFileSync(file, `${text}dataLayer: {discovery: {pluginRef: file-discovery}}\n`);
  return file;
}

test("a streamed answer puts expected and observed time on the page, and the decision shows the parts", async () => {
  const port = await modelServer((_request, response) => response.end(""));
  const { ports } = await startPicker([
    ...["--config-file", configWithDiscovery(port), "--allow-experimental-plugins", "--bind-address=127.0.0.1"],
    ...["--secure-serving=false", "--metrics-endpoint-auth=false"],
    ...["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"],
  ]);
  const stream = new ExtProcStream(ports.extProc);
  stream.request({ "x-request-id": "one" }, JSON.stringify({ model: "m", prompt: "word ".repeat(800), stream: true }));
  await expect.poll(() => stream.requestHeadersSet()).toBeDefined();
  const piece = (body: string, endOfStream: boolean): ExtProcStream =>
    stream.send({ request: { case: "responseBody", value: { body: Buffer.from(body), endOfStream } } });
  const headers = [":status=200", "content-type=text/event-stream"].map((line) => {
    const [key = "", value = ""] = line.split("=");
    return { key, rawValue: Buffer.from(value) };
  });
  stream.send({ request: { case: "responseHeaders", value: { headers: { headers } } } });
  piece('data: {"choices":[{"text":"a"}]}\n\n', false);
  piece("data: [DONE]\n\n", true);

  const names = [
    "llm_d_epp_expected_ttft_seconds",
    "llm_d_epp_observed_ttft_seconds",
    "llm_d_epp_expected_ttft_error_ratio",
  ];
  await vi.waitFor(
    async () => {
      const page = readMetricsPage(await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text());
      for (const name of names) {
        expect([...(page.get(name)?.values ?? [])], name).toEqual([
          ['plugin_type="expected-latency-producer",plugin_name="expected-latency-producer"', 1],
        ]);
      }
    },
    { timeout: 20_000 },
  );

  let printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  const code = await explainCommand.run(["--address", `127.0.0.1:${ports.metrics}`, "--request-id", "one"]);
  vi.restoreAllMocks();
  expect(code).toBe(0);
  expect(printed).toMatch(
    /ExpectedLatency +ttftMs +queueMs +memoryMs +prefillMs +sparedMs +decodeMs +harmMs +evictMs\n/,
  );
  expect(printed).toMatch(/\* default\/a +45\.5 +0 +0 +30\.5 +0 +2001 +0 +0\n/);
});
