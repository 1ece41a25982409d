import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { root } from "../workspace-packages.ts";
import { parts } from "./parts.ts";
import { freePort, Running } from "./running.ts";
import { Stack, until } from "./stack.ts";

export type Role = "encode" | "prefill" | "decode";

export interface RoleServer {
  readonly name: string;
  readonly role: Role;
  readonly port: number;
  readonly running: Running;
}

/** One picker for all phases: the header that the coordinator sets names the profile. */
const eppConfig = `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: file-discovery
    parameters: {path: ENDPOINTS_FILE, watchFile: true}
  - type: header-profile-handler
  - type: encode-filter
  - type: prefill-filter
  - type: decode-filter
  - type: prefix-cache-scorer
  - type: queue-scorer
schedulingProfiles:
  - name: encode
    plugins: [{pluginRef: encode-filter}, {pluginRef: queue-scorer}]
  - name: prefill
    plugins: [{pluginRef: prefill-filter}, {pluginRef: queue-scorer}]
  - name: decode
    plugins: [{pluginRef: decode-filter}, {pluginRef: prefix-cache-scorer, weight: 2}, {pluginRef: queue-scorer}]
dataLayer:
  discovery: {pluginRef: file-discovery}
`;

/** The part of Envoy's bootstrap that is changed here. */
interface Bootstrap {
  static_resources: {
    listeners: {
      filter_chains: {
        filters: { typed_config: { route_config: { virtual_hosts: { routes: Record<string, unknown>[] }[] } } }[];
      }[];
    }[];
    clusters: unknown[];
  };
}

/** Envoy in front of a coordinator and a picker, model servers of three roles, a rendering service. */
export class CoordinatorStack extends Stack {
  readonly roleServers: RoleServer[] = [];
  coordinator!: Running;
  coordinatorMetricsPort = 0;

  async start(roles: readonly Role[]): Promise<void> {
    const counts = new Map<Role, number>();
    for (const role of roles) {
      const number = (counts.get(role) ?? 0) + 1;
      counts.set(role, number);
      const name = `${role}-${number}`;
      this.roleServers.push({ name, role, ...(await this.#sim(name, ["--role", role])) });
    }
    this.#writeEndpoints();
    await this.startEpp({ config: eppConfig, flags: ["--allow-experimental-plugins"] });
    const [listenPort, adminPort, coordinatorPort] = [await freePort(), await freePort(), await freePort()];
    this.envoyUrl = `http://127.0.0.1:${listenPort}`;
    this.#startEnvoyBefore(listenPort, adminPort, coordinatorPort);
    const render = await this.#sim("render", []);
    await this.#startCoordinator(coordinatorPort, render.port);
    await until("Envoy is ready", async () => {
      const ready = await fetch(`http://127.0.0.1:${adminPort}/ready`).catch(() => undefined);
      return ready?.ok === true;
    });
  }

  /** Requests with the header EPP-Profile go through the picker to a model server, all others to the coordinator. */
  #startEnvoyBefore(listenPort: number, adminPort: number, coordinatorPort: number): void {
    const printed = execFileSync(
      parts.epp,
      [
        "envoy-config",
        ...["--listen-port", String(listenPort), "--admin-port", String(adminPort)],
        ...["--grpc-port", String(this.ports.extProc), "--secure-serving=false"],
      ],
      { encoding: "utf8" },
    );
    const bootstrap = parse(printed) as Bootstrap;
    const hosts = bootstrap.static_resources.listeners[0]!.filter_chains[0]!.filters[0]!.typed_config.route_config;
    const host = hosts.virtual_hosts[0]!;
    const picked = host.routes[0]!;
    host.routes = [
      { ...picked, match: { prefix: "/", headers: [{ name: "EPP-Profile", present_match: true }] } },
      {
        match: { prefix: "/" },
        route: { cluster: "coordinator", timeout: "0s", idle_timeout: "3600s" },
        typed_per_filter_config: {
          "envoy.filters.http.ext_proc": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute",
            disabled: true,
          },
        },
      },
    ];
    const address = { socket_address: { address: "127.0.0.1", port_value: coordinatorPort } };
    bootstrap.static_resources.clusters.push({
      name: "coordinator",
      type: "STATIC",
      connect_timeout: "5s",
      load_assignment: { cluster_name: "coordinator", endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    });
    const file = join(this.directory, "envoy.yaml");
    writeFileSync(file, stringify(bootstrap, { aliasDuplicateObjects: false }));
    this.envoy = this.track(
      new Running("envoy", parts.envoy(), [
        ...["-c", file, "--concurrency", "1", "--base-id", String(adminPort), "--log-level", "warn"],
      ]),
    );
  }

  async #startCoordinator(port: number, renderPort: number): Promise<void> {
    const file = join(this.directory, "coordinator.yaml");
    this.coordinatorMetricsPort = await freePort();
    writeFileSync(
      file,
      `server: {listen_addr: "127.0.0.1:${port}", metrics_port: ${this.coordinatorMetricsPort}}
gateway: {address: "${this.envoyUrl}"}
pipeline:
  kv_connector: kv-nixl
  ec_connector: ec-nixl
  steps:
    - {type: replace-media-urls}
    - {type: render, params: {address: "http://127.0.0.1:${renderPort}"}}
    - {type: conditional-decode}
    - {type: encode}
    - {type: prefill}
    - {type: decode}
`,
    );
    const bin = join(root, "apps/pd-coordinator/bin/pd-coordinator");
    this.coordinator = this.track(new Running("coordinator", bin, ["--config", file]));
    await this.coordinator.json((line) => line["msg"] === "ready");
  }

  #writeEndpoints(): void {
    const entries = this.roleServers.map(
      ({ name, role, port }) =>
        `  - {name: ${name}, address: 127.0.0.1, port: "${port}", labels: {llm-d.ai/role: ${role}}}\n`,
    );
    writeFileSync(this.endpointsFile, `endpoints:\n${entries.join("")}`);
  }

  async #sim(name: string, flags: readonly string[]): Promise<{ readonly running: Running; readonly port: number }> {
    const running = this.track(new Running(name, parts.modelSim, ["--name", name, "--port", "0", ...flags]));
    const line = await running.json((value) => value["event"] === "listening");
    return { running, port: Number(new URL(String(line["url"])).port) };
  }
}
