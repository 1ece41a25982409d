/** Expected-latency routing in a picker with all its ports: what `epp explain` and the metrics page say of it. */
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { explainCommand } from "../src/cli/explain.ts";
import { readMetricsPage } from "./metrics-page.ts";
import { ExtProcStream, endAll, modelServer, pickerFlags, startPicker } from "./picker.ts";

const recommended = join(import.meta.dirname, "../examples/expected-latency.yaml");

afterEach(async () => {
  vi.restoreAllMocks();
  await endAll();
});

test("a streamed answer puts expected and observed time on the page, and the decision shows the parts", async () => {
  const port = await modelServer((_request, response) => response.end(""));
  const flags = ["--config-file", recommended, "--allow-experimental-plugins", "--secure-serving=false"];
  const { ports } = await startPicker([...flags, "--metrics-endpoint-auth=false", ...pickerFlags(port)]);
  const stream = new ExtProcStream(ports.extProc);
  stream.request({ "x-request-id": "one" }, JSON.stringify({ model: "m", prompt: "word ".repeat(800), stream: true }));
  await vi.waitFor(() => expect(stream.requestHeadersSet()).toBeDefined(), { timeout: 10_000 });
  const piece = (body: string, endOfStream: boolean): ExtProcStream =>
    stream.send({ request: { case: "responseBody", value: { body: Buffer.from(body), endOfStream } } });
  const headers = [":status=200", "content-type=text/event-stream"].map((line) => {
    const [key = "", value = ""] = line.split("=");
    return { key, rawValue: Buffer.from(value) };
  });
  stream.send({ request: { case: "responseHeaders", value: { headers: { headers } } } });
  piece('data: {"choices":[{"text":"a"}]}\n\n', false);
  piece("data: [DONE]\n\n", true);

  const names = ["llm_d_epp_expected_ttft_seconds", "llm_d_epp_observed_ttft_seconds", "llm_d_epp_expected_ttft_error_ratio"];
  await vi.waitFor(
    async () => {
      const page = readMetricsPage(await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text());
      for (const name of names) {
        expect([...(page.get(name)?.values ?? [])], name).toEqual([
          ['plugin_type="expected-latency-producer",plugin_name="expected-latency-producer"', 1],
        ]);
      }
    },
    { timeout: 10_000 },
  );

  let printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  const code = await explainCommand.run(["--address", `127.0.0.1:${ports.metrics}`, "--request-id", "one"]);
  vi.restoreAllMocks();
  expect(code).toBe(0);
  expect(printed).toMatch(/ExpectedLatency +ttftMs +queueMs +memoryMs +prefillMs +decodeMs +harmMs +evictMs\n/);
  expect(printed).toMatch(/\* default\/a +45\.5 +0 +0 +30\.5 +2001 +0 +0\n/);
});
