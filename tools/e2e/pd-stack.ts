import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../workspace-packages.ts";
import { parts } from "./parts.ts";
import { freePort, Running } from "./running.ts";
import { Stack } from "./stack.ts";

/** A long prompt is computed on a prefill server when this many tokens of it are not cached where it is decoded. */
export const nonCachedTokens = 256;

export const pdConfig = `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: file-discovery
    parameters: {path: ENDPOINTS_FILE, watchFile: true}
  - type: prefix-cache-scorer
  - type: queue-scorer
  - type: prefill-filter
  - type: decode-filter
  - type: prefix-based-pd-decider
    parameters: {nonCachedTokens: ${nonCachedTokens}}
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

export interface PdServer {
  readonly name: string;
  readonly role: "prefill" | "decode" | "encode";
  /** Of the model server, or of the sidecar before it. */
  readonly port: number;
  readonly running: Running;
  readonly metricsPort: number | undefined;
}

/** Prefill servers, and decode servers behind sidecars, for a picker. */
export class PdStack extends Stack {
  readonly pdServers: PdServer[] = [];

  async startPrefill(name: string): Promise<PdServer> {
    const { running, port } = await this.#sim(name, ["--role", "prefill"]);
    const server: PdServer = { name, role: "prefill", port, running, metricsPort: undefined };
    this.pdServers.push(server);
    return server;
  }

  /** A decode server and its sidecar. */
  async startDecode(name: string, flags: readonly string[] = []): Promise<PdServer> {
    const sim = await this.#sim(name, ["--role", "decode"]);
    const [port, metricsPort] = [await freePort(), await freePort()];
    const running = this.track(
      new Running(`sidecar of ${name}`, join(root, "apps/pd-sidecar/bin/pd-sidecar"), [
        ...["--bind-address=127.0.0.1", "--secure-proxy=false", `--port=${port}`, `--model-server-port=${sim.port}`],
        ...[`--metrics-port=${metricsPort}`, ...flags],
      ]),
    );
    await running.json((line) => line["msg"] === "ready");
    const server: PdServer = { name, role: "decode", port, running, metricsPort };
    this.pdServers.push(server);
    return server;
  }

  /** Writes the endpoints file: prefill servers themselves, decode servers by their sidecars. */
  writePdEndpoints(servers: readonly Pick<PdServer, "name" | "role" | "port">[] = this.pdServers): void {
    const entries = servers.map(
      ({ name, role, port }) =>
        `  - {name: ${name}, address: 127.0.0.1, port: "${port}", labels: {llm-d.ai/role: ${role}}}\n`,
    );
    writeFileSync(`${this.endpointsFile}.new`, `endpoints:\n${entries.join("")}`);
    renameSync(`${this.endpointsFile}.new`, this.endpointsFile);
  }

  async #sim(name: string, flags: readonly string[]): Promise<{ readonly running: Running; readonly port: number }> {
    const running = this.track(new Running(name, parts.modelSim, ["--name", name, "--port", "0", ...flags]));
    const line = await running.json((value) => value["event"] === "listening");
    return { running, port: Number(new URL(String(line["url"])).port) };
  }
}

/** A value on a metrics page; 0 when it is not there. */
export async function metricOn(port: number, name: string, label = ""): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const line = page.split("\n").find((each) => each.startsWith(name) && each.includes(label));
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(" ") + 1));
}
