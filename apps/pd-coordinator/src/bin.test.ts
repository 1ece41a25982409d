import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createSocketServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test, vi } from "vitest";

// Each test starts programs, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const bin = fileURLToPath(new URL("../bin/pd-coordinator", import.meta.url));

class Program {
  readonly lines: string[] = [];
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(bin, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } });
    this.exited = new Promise((resolve) => this.#child.once("close", resolve));
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      createInterface({ input: stream }).on("line", (line) => this.lines.push(line));
    }
    onTestFinished(() => void this.#child.kill("SIGKILL"));
  }

  async said(text: string): Promise<string> {
    await expect.poll(() => this.lines.some((line) => line.includes(text)), { timeout: 60_000 }).toBe(true);
    return this.lines.find((line) => line.includes(text))!;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

function configFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "coordinator-bin-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "c.yaml");
  writeFileSync(file, text);
  return file;
}

/** A gateway whose decode stream waits for `finish`, and a coordinator before it. */
async function start(server = "", environment: Readonly<Record<string, string>> = {}, flags: readonly string[] = []) {
  const waiting: ServerResponse[] = [];
  const gateway = createServer((req, res) => {
    req.resume();
    if (req.headers["epp-profile"] === "prefill") res.end("{}");
    else {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write("data: 1\n\n");
      waiting.push(res);
    }
  });
  await new Promise<void>((resolve) => gateway.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    gateway.close();
    gateway.closeAllConnections();
  });
  const file = configFile(
    `server: {listen_addr: "127.0.0.1:0"${server}}\npipeline: {steps: [{type: prefill}, {type: decode}]}\n`,
  );
  const program = new Program(["--config", file, ...flags], {
    COORDINATOR_GATEWAY_ADDRESS: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`,
    ...environment,
  });
  const ready = JSON.parse(await program.said('"msg":"ready"')) as { port: number; metricsPort: number };
  return { program, url: `http://127.0.0.1:${ready.port}`, metricsPort: ready.metricsPort, waiting };
}

const ask = (url: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, { method: "POST", body: "{}", headers });

test("SIGTERM lets an open stream finish, and the process ends with 0", async () => {
  const { program, url, waiting } = await start();
  const response = await ask(url);
  program.signal("SIGTERM");
  await program.said('"msg":"shutting down"');
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  waiting[0]!.end("data: [DONE]\n\n");
  expect(await response.text()).toBe("data: 1\n\ndata: [DONE]\n\n");
  expect(await program.exited).toBe(0);
});

test("requests that do not end in time are cut, and the process ends with 1", async () => {
  const { program, url } = await start(", shutdown_timeout: 100ms");
  const response = await ask(url);
  program.signal("SIGTERM");
  await expect(response.text()).rejects.toThrow();
  expect(await program.exited).toBe(1);
});

test("a second signal ends the process at once", async () => {
  const { program, url } = await start();
  await ask(url);
  program.signal("SIGINT");
  await program.said('"msg":"shutting down"');
  program.signal("SIGTERM");
  expect(await program.exited).toBe(1);
});

test("wrong settings are all told and end with 2; a port that is taken ends with 1", async () => {
  const wrong = new Program(["--config", configFile("servr: {}\npipeline: {steps: [{type: decode}]}\n")]);
  expect(await wrong.exited).toBe(2);
  expect(wrong.lines).toEqual([
    expect.stringMatching(/^pd-coordinator: .*c\.yaml:1:1: unknown key "servr"; did you mean "server"\?$/),
    expect.stringContaining("gateway.address is missing"),
  ]);
  const taken = createSocketServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void taken.close());
  const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
  const file = configFile(
    `server: {listen_addr: "${address}"}\ngateway: {address: "http://gw"}\npipeline: {steps: [{type: decode}]}\n`,
  );
  const late = new Program(["--config", file]);
  expect(await late.exited).toBe(1);
  expect(late.lines.join()).toContain("EADDRINUSE");
});

test("with a metrics port there are metrics and probes", async () => {
  const free = createSocketServer();
  await new Promise<void>((resolve) => free.listen(0, "127.0.0.1", resolve));
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const { url, waiting, metricsPort } = await start("", {}, [`--metrics-port=${port}`]);
  expect(metricsPort).toBe(port);
  const response = await ask(url);
  waiting[0]!.end();
  await response.text();
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(page).toContain('pd_coordinator_phase_duration_seconds_count{phase="prefill"} 1');
  expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
});

test("with tracing, a request and its phases have spans, under the client's", async () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const { program, url, waiting } = await start("", {
    COORDINATOR_TRACING: "true",
    OTEL_TRACES_EXPORTER: "console",
  });
  const response = await ask(url, { traceparent: `00-${traceId}-b7ad6b7169203331-01` });
  waiting[0]!.end();
  await response.text();
  program.signal("SIGTERM");
  expect(await program.exited).toBe(0);
  const text = program.lines.join("\n");
  expect(text).toContain("llm_d.coordinator.POST /v1/chat/completions");
  for (const phase of ["prefill", "decode"]) expect(text).toMatch(new RegExp(`name: ['"]${phase}['"]`));
  expect(text.split(traceId).length).toBeGreaterThan(3);
});

test("--help names every setting, --version the version", async () => {
  const help = new Program(["--help"]);
  expect(await help.exited).toBe(0);
  expect(help.lines.join("\n")).toContain("COORDINATOR_GATEWAY_DECODE_TIMEOUT");
  const version = new Program(["--version"]);
  expect(await version.exited).toBe(0);
  expect(version.lines[0]).toMatch(/^[0-9]+\.[0-9]+\.[0-9]+/);
});
