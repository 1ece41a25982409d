import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parts } from "./parts.ts";
import { Running } from "./running.ts";
import { Stack } from "./stack.ts";

const run = promisify(execFile);
const stack = new Stack();

beforeAll(async () => {
  await stack.startServers(3);
  await stack.startEpp({
    config: `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: queue-scorer
  - type: kv-cache-utilization-scorer
  - type: approx-prefix-cache-producer
    parameters: {maxPrefixTokensToMatch: 100000}
  - type: prefix-cache-scorer
  - type: no-hit-lru-scorer
  - type: file-discovery
    parameters: {path: ENDPOINTS_FILE}
schedulingProfiles:
  - name: default
    plugins:
      - {pluginRef: queue-scorer, weight: 2}
      - {pluginRef: kv-cache-utilization-scorer, weight: 2}
      - {pluginRef: prefix-cache-scorer, weight: 3}
      - {pluginRef: no-hit-lru-scorer, weight: 2}
dataLayer:
  discovery: {pluginRef: file-discovery}
`,
  });
});
afterAll(() => stack.stop());

interface Figures {
  readonly requests: number;
  readonly errors: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly server_cpu_ms_per_req: number;
}

async function load(port: number, pid: number, args: readonly string[]): Promise<Figures> {
  const { stdout } = await run(parts.extload(), [
    ...["-addr", `127.0.0.1:${port}`, "-pid", String(pid), "-json", "-d", "4s", "-warm", "2s"],
    ...args,
  ]);
  return JSON.parse(stdout) as Figures;
}

test.each([
  ["small chat", []],
  ["1000 streamed chunks", ["-prompt", "43000", "-chunks", "1000", "-c", "4"]],
  ["100k-token prompt", ["-prompt", "430000", "-c", "4"]],
  ["streams that end with a reset", ["-reset"]],
])("a grpc-go client as Envoy behaves: %s, without an error", async (name, args) => {
  const ours = await load(stack.ports.extProc, stack.epp.pid, args);
  expect(ours.errors).toBe(0);
  expect(ours.requests).toBeGreaterThan(0);
  const echo = new Running("extecho", parts.extecho(), ["-addr", "127.0.0.1:0"]);
  try {
    const ready = await echo.line((line) => line.startsWith("ready "));
    const port = Number(ready.slice(ready.lastIndexOf(":") + 1));
    const reference = await load(port, echo.pid, args);
    console.log(
      `${name}: CPU ${ours.server_cpu_ms_per_req.toFixed(2)} ms/request, ${(ours.server_cpu_ms_per_req / reference.server_cpu_ms_per_req).toFixed(1)}x ` +
        `the grpc-go echo; decision p50 ${ours.p50_ms.toFixed(1)} ms, p99 ${ours.p99_ms.toFixed(1)} ms`,
    );
  } finally {
    await echo.stop();
  }
});
