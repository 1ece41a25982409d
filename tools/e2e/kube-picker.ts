import type { KubeCluster, User } from "./kube-cluster.ts";
import { namespace } from "./kube-cluster.ts";
import { parts } from "./parts.ts";
import { Running } from "./running.ts";
import { until } from "./stack.ts";

export interface PickerOptions {
  /** Flags that choose the pool; `--pool-name=pool` when absent. */
  readonly pool?: readonly string[];
  readonly flags?: readonly string[];
  readonly config?: string;
  readonly user?: User;
  readonly environment?: Readonly<Record<string, string>>;
}

interface Ports {
  readonly extProc: number;
  readonly health: number;
  readonly metrics: number;
  readonly proxy: number;
}

/** An endpoint picker that takes its endpoints from Kubernetes. */
export class KubePicker {
  readonly running: Running;
  readonly name: string;
  #ports: Ports | undefined;

  constructor(cluster: KubeCluster, name: string, options: PickerOptions = {}) {
    const { pool = ["--pool-name=pool"], flags = [], config, user = "epp", environment = {} } = options;
    this.name = name;
    this.running = new Running(
      name,
      parts.epp,
      [
        "--bind-address=127.0.0.1",
        ...["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0", "--http-proxy-port=0"],
        ...[
          "--secure-serving=false",
          `--pool-namespace=${namespace}`,
          "--metrics-endpoint-auth=false",
          "--refresh-metrics-interval=1s",
        ],
        ...pool,
        ...(config === undefined ? [] : ["--config-text", config]),
        ...flags,
      ],
      { KUBECONFIG: cluster.kubeconfig(user), ...environment },
    );
  }

  /** Waits until its ports are open. */
  async listening(): Promise<this> {
    const line = await this.running.json(({ msg }) => msg === "listening");
    this.#ports = line as unknown as Ports;
    return this;
  }

  async ready(): Promise<this> {
    await this.listening();
    await this.running.line((line) => line.includes('"msg":"ready"'));
    return this;
  }

  get ports(): Ports {
    if (this.#ports === undefined) throw new Error(`${this.name} does not listen yet`);
    return this.#ports;
  }

  get proxy(): string {
    return `http://127.0.0.1:${this.ports.proxy}`;
  }

  /** Ids of the endpoints without the namespace, in order. */
  async endpoints(): Promise<readonly string[]> {
    const reply = await fetch(`http://127.0.0.1:${this.ports.metrics}/pointsman.admin.v1.AdminService/GetPool`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    const { endpoints = [] } = (await reply.json()) as { readonly endpoints?: readonly { readonly id: string }[] };
    return endpoints.map(({ id }) => id.replace(`${namespace}/`, "")).sort();
  }

  /** Waits until exactly these are its endpoints; returns how long it took, ms. */
  async has(expected: readonly string[], timeoutMs = 60_000): Promise<number> {
    const wanted = [...expected].sort().join(" ");
    const startedAtMs = performance.now();
    let last = "";
    try {
      await until(
        "the endpoints",
        async () => {
          last = (await this.endpoints()).join(" ");
          return last === wanted;
        },
        timeoutMs,
      );
    } catch {
      const log = this.running.lines.filter((line) => !line.includes("metrics-data-source")).slice(-20);
      throw new Error(`${this.name} has [${last.slice(0, 300)}] and not [${wanted.slice(0, 300)}]:\n${log.join("\n")}`);
    }
    return performance.now() - startedAtMs;
  }

  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.ports.metrics}/metrics`)).text();
  }

  /** Value of a series on the metrics page; `undefined` when it is not there. */
  async metric(series: string): Promise<number | undefined> {
    const line = (await this.metrics()).split("\n").find((each) => each.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  }

  /** Whether the built-in proxy's readiness page says that it serves. */
  async isReady(): Promise<boolean> {
    const reply = await fetch(`${this.proxy}/health`);
    return reply.status === 200;
  }

  /** Lines of the log that contain a text. */
  said(text: string): readonly string[] {
    return this.running.lines.filter((line) => line.includes(text));
  }

  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    return this.running.stop(signal);
  }
}
