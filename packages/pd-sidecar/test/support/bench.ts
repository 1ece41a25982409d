import { request as httpRequest } from "node:http";
import { silentLogger } from "@pointsman/core";
import { createPrometheusMetrics, type PrometheusMetrics } from "@pointsman/telemetry";
import { onTestFinished } from "vitest";
import { defaultOptions } from "../../src/config/default-options.ts";
import type { SidecarOptions } from "../../src/config/sidecar-options.ts";
import { type Sidecar, type SidecarDependencies, startSidecar } from "../../src/server/start-sidecar.ts";
import { makeTarget } from "../../src/upstream/target.ts";
import { type Answer, FakeServer, type SeenRequest } from "./fake-server.ts";

export interface ClientAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
  readonly way: string | null;
}

export type Body = string | Record<string, unknown> | readonly unknown[] | Buffer;

/** Fake model servers around one sidecar; all end with the test. */
export class Bench {
  readonly calls: SeenRequest[] = [];
  readonly metrics: PrometheusMetrics = createPrometheusMetrics({ processMetrics: false });
  sidecar!: Sidecar;
  url = "";

  async server(name: string, ...answers: readonly Answer[]): Promise<FakeServer> {
    const server = new FakeServer(name, this.calls, answers);
    await server.listen();
    onTestFinished(() => server.close());
    return server;
  }

  async tlsServer(
    name: string,
    tls: { cert: string; key: string },
    ...answers: readonly Answer[]
  ): Promise<FakeServer> {
    const server = new FakeServer(name, this.calls, answers, tls);
    await server.listen();
    onTestFinished(() => server.close());
    return server;
  }

  /** `decoders`: the model server of each rank. */
  async start(
    decoders: readonly { readonly port: number }[],
    options: Partial<SidecarOptions> = {},
    dependencies: Partial<SidecarDependencies> = {},
  ): Promise<Sidecar> {
    const sidecar = await startSidecar(
      {
        ...defaultOptions,
        host: "127.0.0.1",
        ranks: decoders.map(({ port }) => ({ port: 0, decoder: makeTarget("127.0.0.1", port) })),
        ...options,
      },
      { logger: silentLogger, metrics: this.metrics, ...dependencies },
    );
    onTestFinished(async () => {
      await sidecar.stop(0);
    });
    this.sidecar = sidecar;
    this.url = `${options.secureProxy === true ? "https" : "http"}://127.0.0.1:${sidecar.ports[0]}`;
    return sidecar;
  }

  /** Names of the servers in the order they were called. */
  get order(): string[] {
    return this.calls.map((call) => call.server);
  }

  async post(body: Body, headers: Record<string, string> = {}, path = "/v1/chat/completions"): Promise<ClientAnswer> {
    const response = await fetch(`${this.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      redirect: "manual",
    });
    return await clientAnswer(response);
  }

  /** A request that can be left in its middle. */
  open(body: Body, headers: Record<string, string> = {}, path = "/v1/chat/completions"): OpenRequest {
    return new OpenRequest(`${this.url}${path}`, body, headers);
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

  constructor(url: string, body: Body, headers: Record<string, string>) {
    const bytes = typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    this.#request = httpRequest(url, { method: "POST", headers: { "content-type": "application/json", ...headers } });
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

export async function clientAnswer(response: Response): Promise<ClientAnswer> {
  const text = await response.text();
  let json: Record<string, unknown> = {};
  try {
    json = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // Streams and texts.
  }
  return { status: response.status, headers: response.headers, text, json, way: response.headers.get("x-pd-way") };
}

/** Waits until a condition holds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited in vain: ${what}`);
}

/** A member of nested objects. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let current = value;
  for (const key of path) current = (current as Record<string | number, unknown> | undefined)?.[key];
  return current;
}

/** The events of a stream, `[DONE]` as text. */
export function sse(text: string): unknown[] {
  return text
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => {
      const data = event.replace(/^data: /, "");
      return data === "[DONE]" ? data : (JSON.parse(data) as unknown);
    });
}
