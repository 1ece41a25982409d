import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createSocketServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test, vi } from "vitest";

// Each test starts programs, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const bin = fileURLToPath(new URL("../bin/pd-sidecar", import.meta.url));

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

  async said(text: string): Promise<void> {
    await expect.poll(() => this.lines.some((line) => line.includes(text)), { timeout: 60_000 }).toBe(true);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

async function freePort(): Promise<number> {
  const server = createSocketServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A model server whose stream waits for `finish`, and a sidecar before it. */
async function start(flags: readonly string[] = [], environment: Readonly<Record<string, string>> = {}) {
  const waiting: (() => void)[] = [];
  const server = createServer((req, res) => {
    req.resume();
    if (req.method === "GET") {
      res.end("{}");
      return;
    }
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write("data: 1\n\n");
    waiting.push(() => res.end("data: [DONE]\n\n"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const [port, modelPort] = [await freePort(), (server.address() as AddressInfo).port];
  const program = new Program(
    [
      ...[`--port=${port}`, `--model-server-port=${modelPort}`, "--bind-address=127.0.0.1", "--secure-proxy=false"],
      ...flags,
    ],
    environment,
  );
  await program.said('"msg":"ready"');
  return { program, url: `http://127.0.0.1:${port}`, waiting };
}

test("SIGTERM lets an open stream finish, and the process ends with 0", async () => {
  const { program, url, waiting } = await start();
  const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", body: "{}" });
  program.signal("SIGTERM");
  await program.said('"msg":"shutting down"');
  await expect(fetch(`${url}/health`)).rejects.toThrow();
  waiting[0]!();
  expect(await response.text()).toBe("data: 1\n\ndata: [DONE]\n\n");
  expect(await program.exited).toBe(0);
});

test("requests that do not end in time are cut, and the process ends with 1", async () => {
  const { program, url } = await start(["--shutdown-timeout=100ms"]);
  const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", body: "{}" });
  program.signal("SIGTERM");
  await expect(response.text()).rejects.toThrow();
  expect(await program.exited).toBe(1);
});

test("a second signal ends the process at once", async () => {
  const { program, url } = await start();
  await fetch(`${url}/v1/chat/completions`, { method: "POST", body: "{}" });
  program.signal("SIGTERM");
  await program.said('"msg":"shutting down"');
  program.signal("SIGTERM");
  expect(await program.exited).toBe(1);
});

test("wrong settings are all told and end with 2; a port that is taken is named with its flag and ends with 1", async () => {
  const wrong = new Program(["--port=abc", "--kv-connector=lmcache"]);
  expect(await wrong.exited).toBe(2);
  expect(wrong.lines).toHaveLength(2);
  const taken = createSocketServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as AddressInfo;
  const local = ["--bind-address=127.0.0.1", "--secure-proxy=false"];
  const late = new Program([`--port=${port}`, ...local]);
  expect(await late.exited).toBe(1);
  expect(late.lines.join()).toContain(`--port: rank 0 cannot listen on ${port}: listen EADDRINUSE`);
  const unseen = new Program([`--port=${await freePort()}`, `--metrics-port=${port}`, ...local]);
  expect(await unseen.exited).toBe(1);
  expect(unseen.lines.join()).toContain(`--metrics-port: cannot listen on ${port}: listen EADDRINUSE`);
});

test("a pool that has to be watched ends with 1 and says what to do", async () => {
  const program = new Program(["--enable-ssrf-protection", "--inference-pool=p", "--port=1", "--secure-proxy=false"]);
  expect(await program.exited).toBe(1);
  expect(program.lines.join()).toContain("--allowed-targets");
});

test("with tracing, a request and its decode have spans, under the client's", async () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const { program, url, waiting } = await start(["--tracing"], { OTEL_TRACES_EXPORTER: "console" });
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: "{}",
    headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
  });
  waiting[0]!();
  await response.text();
  program.signal("SIGTERM");
  expect(await program.exited).toBe(0);
  const text = program.lines.join("\n");
  expect(text).toContain("llm_d.pd_proxy.POST /v1/chat/completions");
  expect(text).toMatch(/name: ['"]decode['"]/);
  expect(text.split(traceId).length).toBeGreaterThan(2);
});

test.each([
  [["demo", "--onec"], 'pd-sidecar demo: unexpected argument "--onec". See pd-sidecar demo --help.'],
  [["demo", "--port"], "pd-sidecar demo: --port needs a port. See pd-sidecar demo --help."],
  [["dem"], 'pd-sidecar: unexpected argument "dem". See --help.'],
])("%j ends with 2 and says why", async (args, problem) => {
  const program = new Program(args);
  expect(await program.exited).toBe(2);
  expect(program.lines).toEqual([problem]);
});

test("--help names every flag, --version the version", async () => {
  const help = new Program(["--help"]);
  expect(await help.exited).toBe(0);
  expect(help.lines.join("\n")).toContain("--prefill-failure-policy");
  const version = new Program(["--version"]);
  expect(await version.exited).toBe(0);
  expect(version.lines[0]).toMatch(/^[0-9]+\.[0-9]+\.[0-9]+/);
});
