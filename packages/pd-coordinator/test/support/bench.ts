import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@pointsman/core";
import { createPrometheusMetrics, type PrometheusMetrics } from "@pointsman/telemetry";
import { onTestFinished } from "vitest";
import type { CoordinatorOptions } from "../../src/config/coordinator-options.ts";
import { loadOptions } from "../../src/config/load-options.ts";
import { isPublicAddress } from "../../src/media/address-guard.ts";
import type { MediaNetwork } from "../../src/media/media-network.ts";
import {
  type Coordinator,
  type CoordinatorDependencies,
  startCoordinator,
} from "../../src/server/start-coordinator.ts";
import { type Answer, FakeGateway, type Phase } from "./fake-gateway.ts";

export interface ClientAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export type Body = string | Record<string, unknown> | Buffer;

export interface BenchSettings {
  /** YAML of `pipeline:` below that line, without the steps. */
  readonly pipeline?: string;
  /** YAML of the steps; all of them by default. */
  readonly steps?: string;
  /** YAML of other lines at the top. */
  readonly server?: string;
  readonly gateway?: string;
  readonly answers?: Partial<Record<Phase, Answer | readonly Answer[]>>;
  readonly options?: Partial<CoordinatorOptions>;
  readonly dependencies?: Partial<CoordinatorDependencies>;
}

/** Images may come from 127.0.0.1, which stands for the internet in tests, and from nowhere else on this machine. */
export const testNetwork: MediaNetwork = {
  resolve: async (host) => {
    if (host === "images.test") return ["127.0.0.1"];
    if (host === "inside.test") return ["127.0.0.2"];
    if (host === "metadata.test") return ["169.254.169.254"];
    throw new Error(`no address of ${host}`);
  },
  mayReach: (address, allowPrivate) => address === "127.0.0.1" || isPublicAddress(address, allowPrivate),
};

export const allSteps = `
    - {type: replace-media-urls}
    - {type: render, params: {address: RENDER}}
    - {type: encode}
    - {type: prefill}
    - {type: decode}
`;

/** The real configuration loader on a file, with COORDINATOR addresses filled in. */
export function load(text: string, environment: Record<string, string> = {}, args: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), "coordinator-"));
  const file = join(folder, "c.yaml");
  writeFileSync(file, text);
  try {
    return loadOptions([`--config=${file}`, ...args], environment);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A gateway, a rendering service and one coordinator; all end with the test. */
export class Bench {
  readonly gateway: FakeGateway;
  readonly metrics: PrometheusMetrics = createPrometheusMetrics({ processMetrics: false });
  coordinator!: Coordinator;
  url = "";

  private constructor(gateway: FakeGateway) {
    this.gateway = gateway;
  }

  static async start(settings: BenchSettings = {}): Promise<Bench> {
    const bench = new Bench(new FakeGateway(settings.answers ?? {}));
    await bench.gateway.listen();
    onTestFinished(() => bench.gateway.close());
    const { url } = bench.gateway;
    const steps = (settings.steps ?? allSteps).replaceAll("RENDER", url);
    const loaded = load(
      `server:\n  listen_addr: "127.0.0.1:0"\n${settings.server ?? ""}\n` +
        `gateway:\n  address: ${url}\n${settings.gateway ?? ""}\n` +
        `pipeline:\n${settings.pipeline ?? ""}\n  steps:\n${steps}\n`,
    );
    if ("problems" in loaded) throw new Error(loaded.problems.join("\n"));
    bench.coordinator = await startCoordinator(
      { ...loaded.options, ...settings.options },
      { logger: silentLogger, metrics: bench.metrics, mediaNetwork: testNetwork, ...settings.dependencies },
    );
    onTestFinished(async () => {
      await bench.coordinator.stop(0);
    });
    bench.url = `http://127.0.0.1:${bench.coordinator.port}`;
    return bench;
  }

  async post(body: Body, headers: Record<string, string> = {}, path = "/v1/chat/completions"): Promise<ClientAnswer> {
    const response = await fetch(`${this.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  /** A request that can be left in its middle. */
  open(body: Body, path = "/v1/chat/completions"): OpenRequest {
    return new OpenRequest(`${this.url}${path}`, body);
  }

  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    const line = (await this.metrics.page())
      .split("\n")
      .find((each) => new RegExp(`^${name}[{ ]`).test(each) && wanted.every((label) => each.includes(label)));
    return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(" ") + 1));
  }
}

export class OpenRequest {
  readonly #request;
  readonly ended: Promise<"complete" | "cut">;
  readonly head: Promise<number>;
  text = "";

  constructor(url: string, body: Body) {
    const bytes = typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    this.#request = httpRequest(url, { method: "POST", headers: { "content-type": "application/json" } });
    let headArrived!: (status: number) => void;
    this.head = new Promise((resolve) => {
      headArrived = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#request.on("error", () => resolve("cut"));
      this.#request.on("response", (res) => {
        headArrived(res.statusCode ?? 0);
        res.setEncoding("utf8");
        res.on("data", (text: string) => {
          this.text += text;
        });
        res.on("error", () => resolve("cut"));
        res.on("close", () => resolve(res.complete ? "complete" : "cut"));
      });
    });
    this.#request.end(bytes);
  }

  leave(): void {
    this.#request.destroy();
  }
}

/** Waits until a condition holds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited in vain: ${what}`);
}
