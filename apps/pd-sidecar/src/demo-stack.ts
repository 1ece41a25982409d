import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DemoProcess } from "./demo-process.ts";

/** A running set of prefill and decode servers, sidecars and a picker. */
export interface DemoStack {
  /** The picker's proxy, to send requests to. */
  readonly proxy: string;
  /** Address for `epp explain`. */
  readonly admin: string;
  readonly epp: string;
  /** Every model server: name and address. */
  readonly servers: readonly string[];
  /** Metrics pages of the sidecars. */
  readonly sidecarMetrics: readonly string[];
}

const config = (endpoints: string): string => `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: file-discovery
    parameters: {path: ${JSON.stringify(endpoints)}}
  - type: prefix-cache-scorer
  - type: queue-scorer
  - type: prefill-filter
  - type: decode-filter
  - type: prefix-based-pd-decider
    parameters: {nonCachedTokens: 256}
  - type: disagg-profile-handler
    parameters: {deciders: {prefill: prefix-based-pd-decider}}
schedulingProfiles:
  - name: prefill
    plugins:
      - {pluginRef: prefill-filter}
      - {pluginRef: prefix-cache-scorer, weight: 2}
      - {pluginRef: queue-scorer}
  - name: decode
    plugins:
      - {pluginRef: decode-filter}
      - {pluginRef: prefix-cache-scorer, weight: 2}
      - {pluginRef: queue-scorer}
dataLayer:
  discovery: {pluginRef: file-discovery}
`;

/** Starts two prefill and two decode servers, a sidecar before each decode server, and a picker. `started` gets all. */
export async function startDemoStack(options: {
  readonly directory: string;
  readonly started: DemoProcess[];
  readonly port: number;
}): Promise<DemoStack> {
  const { directory, started } = options;
  const run = (...args: ConstructorParameters<typeof DemoProcess>): DemoProcess => {
    const child = new DemoProcess(...args);
    started.push(child);
    return child;
  };
  const modelSim = join(dirname(dirname(fileURLToPath(resolveModelSim()))), "bin/model-sim");
  const sims = ["prefill-1", "prefill-2", "decode-1", "decode-2"].map((name) => {
    const role = name.slice(0, name.indexOf("-"));
    const args = ["--name", name, "--role", role, "--port", "0"];
    return { name, role, child: run(name, modelSim, args, (line) => line["event"] === "listening") };
  });
  const sidecarMetrics: string[] = [];
  const servers: string[] = [];
  const endpoints = await Promise.all(
    sims.map(async ({ name, role, child }) => {
      const simPort = Number(new URL(String((await child.started)["url"])).port);
      servers.push(`${name} 127.0.0.1:${simPort}`);
      if (role === "prefill") return { name, role, port: simPort };
      const [port, metricsPort] = [await freePort(), await freePort()];
      sidecarMetrics.push(`http://127.0.0.1:${metricsPort}/metrics`);
      const sidecar = run(
        `sidecar of ${name}`,
        fileURLToPath(new URL("../bin/pd-sidecar", import.meta.url)),
        [
          ...["--bind-address=127.0.0.1", "--secure-proxy=false", `--port=${port}`, `--model-server-port=${simPort}`],
          ...[`--metrics-port=${metricsPort}`, "--prefill-failure-policy=decode-only", "--allowed-targets=127.0.0.1"],
        ],
        (line) => line["msg"] === "ready",
      );
      await sidecar.started;
      return { name, role, port };
    }),
  );
  const endpointsFile = join(directory, "endpoints.yaml");
  const entries = endpoints.map(
    ({ name, role, port }) =>
      `  - {name: ${name}, address: 127.0.0.1, port: "${port}", labels: {llm-d.ai/role: ${role}}}\n`,
  );
  writeFileSync(endpointsFile, `endpoints:\n${entries.join("")}`);
  const configFile = join(directory, "epp.yaml");
  writeFileSync(configFile, config(endpointsFile));
  const epp = fileURLToPath(new URL("../../epp/bin/epp", import.meta.url));
  const picker = run(
    "epp",
    epp,
    [
      ...["serve", "--config-file", configFile, "--bind-address", "127.0.0.1", "--secure-serving=false"],
      ...["--http-proxy-port", String(options.port), "--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"],
      "--drain-timeout=2s",
    ],
    (line) => line["msg"] === "ready",
  );
  const ports = await picker.started;
  return {
    proxy: `http://127.0.0.1:${ports["proxy"]}`,
    admin: `127.0.0.1:${ports["metrics"]}`,
    epp,
    servers: servers.sort(),
    sidecarMetrics,
  };
}

function resolveModelSim(): string {
  try {
    return import.meta.resolve("@pointsman/model-sim");
  } catch (thrown: unknown) {
    throw new Error("the simulated model servers are a package of their own: npm install @pointsman/model-sim", {
      cause: thrown,
    });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
