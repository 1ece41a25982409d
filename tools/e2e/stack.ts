import { execFileSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parts } from "./parts.ts";
import { freePort, Running } from "./running.ts";

export interface Server {
  readonly name: string;
  readonly url: URL;
  readonly running: Running;
}

/** Model servers, a picker and, if wanted, an Envoy in front, as real processes. */
export class Stack {
  readonly directory: string = mkdtempSync(join(tmpdir(), "pointsman-e2e-"));
  readonly endpointsFile: string = join(this.directory, "endpoints.yaml");
  readonly servers: Server[] = [];
  readonly #all: Running[] = [];
  epp!: Running;
  envoy: Running | undefined;
  ports!: {
    readonly extProc: number;
    readonly health: number;
    readonly metrics: number;
    readonly proxy: number | undefined;
    readonly extProcSocket?: string;
  };
  envoyUrl = "";

  track(running: Running): Running {
    this.#all.push(running);
    return running;
  }

  async startServers(count: number, flags: readonly string[] = []): Promise<void> {
    const started = Array.from({ length: count }, (_, i) => {
      const name = `sim-${this.servers.length + i + 1}`;
      return {
        name,
        running: this.track(new Running(name, parts.modelSim, ["--name", name, "--port", "0", ...flags])),
      };
    });
    for (const { name, running } of started) {
      const line = await running.json((value) => value["event"] === "listening");
      this.servers.push({ name, running, url: new URL(String(line["url"])) });
    }
    this.writeEndpoints();
  }

  /** Writes the endpoints file as an editor does: a new file in the old one's place. */
  writeEndpoints(servers: readonly Server[] = this.servers): void {
    const entries = servers.map(
      ({ name, url }) => `  - {name: ${name}, address: ${url.hostname}, port: "${url.port}"}\n`,
    );
    const text = entries.length === 0 ? "endpoints: []\n" : `endpoints:\n${entries.join("")}`;
    writeFileSync(`${this.endpointsFile}.new`, text);
    renameSync(`${this.endpointsFile}.new`, this.endpointsFile);
  }

  /** Starts a picker; `config` is a configuration without discovery, which is added. */
  async startEpp(
    options: { readonly config?: string; readonly flags?: readonly string[]; readonly tls?: boolean } = {},
  ): Promise<void> {
    const flags = [
      ...[
        "--bind-address=127.0.0.1",
        "--grpc-port=0",
        "--grpc-health-port=0",
        "--metrics-port=0",
        "--http-proxy-port=0",
      ],
      `--secure-serving=${options.tls ?? false}`,
      ...(options.flags ?? []),
    ];
    if (options.config === undefined) flags.push("--endpoints-file", this.endpointsFile);
    else {
      const file = join(this.directory, "epp.yaml");
      writeFileSync(file, options.config.replace("ENDPOINTS_FILE", this.endpointsFile));
      flags.push("--config-file", file);
    }
    this.epp = this.track(new Running("epp", parts.epp, flags));
    const ready = await this.epp.json((value) => value["msg"] === "ready");
    this.ports = ready as unknown as Stack["ports"];
  }

  /** At the picker's Unix socket, if it has one. `edit` changes the bootstrap's text. */
  async startEnvoy(
    flags: readonly string[] = [],
    tls = false,
    edit: (bootstrap: string) => string = (bootstrap) => bootstrap,
  ): Promise<void> {
    const [listen, admin] = [await freePort(), await freePort()];
    const { extProc, extProcSocket } = this.ports;
    const bootstrap = execFileSync(parts.epp, [
      "envoy-config",
      ...["--listen-port", String(listen), "--admin-port", String(admin)],
      ...(extProcSocket === undefined
        ? ["--grpc-port", String(extProc), `--secure-serving=${tls}`]
        : ["--ext-proc-socket", extProcSocket]),
      ...flags,
    ]).toString();
    const file = join(this.directory, "envoy.yaml");
    writeFileSync(file, edit(bootstrap));
    this.envoy = this.track(
      new Running("envoy", parts.envoy(), [
        "-c",
        file,
        "--concurrency",
        "1",
        "--base-id",
        String(admin),
        "--log-level",
        "warn",
      ]),
    );
    this.envoyUrl = `http://127.0.0.1:${listen}`;
    const isReady = (): Promise<boolean> =>
      fetch(`http://127.0.0.1:${admin}/ready`).then(
        ({ ok }) => ok,
        // Not listening yet.
        () => false,
      );
    await until("Envoy is ready", isReady).catch((thrown: unknown) => {
      throw new Error(`Envoy is not ready:\n${this.envoy!.lines.join("\n")}`, { cause: thrown });
    });
  }

  explain(...args: readonly string[]): string {
    return execFileSync(parts.epp, ["explain", "--address", `127.0.0.1:${this.ports.metrics}`, ...args], {
      encoding: "utf8",
    });
  }

  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.ports.metrics}/metrics`)).text();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((running) => running.stop()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface Answer {
  readonly status: number;
  readonly server: string | undefined;
  readonly text: string;
  readonly headers: Headers;
}

/** Posts JSON and reads the whole answer. */
export async function post(
  base: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${base}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  return {
    status: response.status,
    server: response.headers.get("x-model-sim-server") ?? undefined,
    text,
    headers: response.headers,
  };
}

/** Waits until a condition holds. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs: number = 60_000,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
