import { execFileSync, spawn } from "node:child_process";
import { open, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import {
  ExtProcStream,
  endAll,
  healthOf,
  modelServer,
  pickerFlags,
  runProgram,
  startPicker,
  temporaryFolder,
} from "./picker.ts";

afterEach(endAll);

const service = "envoy.service.ext_proc.v3.ExternalProcessor";

test.each(["http2", "grpc-js"])(
  "while it drains, %s is not ready and serves on, with fresh data",
  async (transport) => {
    let scrapes = 0;
    const modelPort = await modelServer((_request, response) => {
      scrapes++;
      response.end("vllm:num_requests_waiting 0\n");
    });
    const { epp, ports } = await startPicker([
      ...pickerFlags(modelPort),
      ...[`--ext-proc-transport=${transport}`, "--secure-serving=false", "--health-checking"],
    ]);
    const early = new ExtProcStream(ports.extProc).request();
    await expect.poll(() => early.requestHeadersSet()).toBeDefined();
    for (const port of [ports.health, ports.extProc]) expect(await healthOf(port, service)).toBe(1);

    let stopped = false;
    const drained = epp.drain().then(() => {
      stopped = true;
    });
    for (const port of [ports.health, ports.extProc]) {
      expect(await healthOf(port, service)).toBe(2);
      expect(await healthOf(port, "liveness")).toBe(1);
    }
    const late = new ExtProcStream(ports.extProc).request();
    await expect
      .poll(() => late.requestHeadersSet()?.["x-gateway-destination-endpoint"])
      .toBe(`127.0.0.1:${modelPort}`);
    const scrapesBefore = scrapes;
    await expect.poll(() => scrapes).toBeGreaterThan(scrapesBefore + 1);
    expect(stopped).toBe(false);

    for (const stream of [early, late]) {
      stream.response().end();
      expect(await stream.ended).toBe(0);
    }
    await drained;
    await expect(healthOf(ports.health, service)).rejects.toMatchObject({ code: 14 });
  },
);

test("the built-in proxy takes requests while it drains, keeps no connection, and tells that it is not ready", async () => {
  const held: ServerResponse[] = [];
  const modelPort = await modelServer((request, response) => {
    if (request.url === "/metrics") response.end("vllm:num_requests_waiting 0\n");
    else {
      request.resume();
      held.push(response);
    }
  });
  const { epp, ports } = await startPicker([...pickerFlags(modelPort), "--http-proxy-port=0"]);
  const proxy = `http://127.0.0.1:${ports.proxy}`;
  const complete = (): Promise<Response> =>
    fetch(`${proxy}/v1/completions`, { method: "POST", body: '{"model":"m","prompt":"x"}' });
  expect((await fetch(`${proxy}/health`)).status).toBe(200);
  const early = complete();
  await expect.poll(() => held.length).toBe(1);
  const drained = epp.drain();
  const health = await fetch(`${proxy}/health`);
  expect([health.status, await health.json()]).toEqual([503, { status: "unavailable", reason: "draining" }]);
  const late = complete();
  await expect.poll(() => held.length).toBe(2);
  for (const response of held) response.end("{}");
  for (const { status, headers } of [await early, await late]) {
    expect([status, headers.get("connection")]).toEqual([200, "close"]);
  }
  await drained;
});

test("a picker without open requests ends at once, unless the whole window is asked for", async () => {
  const modelPort = await modelServer((_request, response) => response.end(""));
  const idle = await startPicker(pickerFlags(modelPort));
  await idle.epp.drain();
  const whole = await startPicker([
    ...pickerFlags(modelPort),
    "--drain-whole-window=true",
    "--drain-timeout=300ms",
    "--secure-serving=false",
  ]);
  const drained = whole.epp.drain();
  const stream = new ExtProcStream(whole.ports.extProc).request();
  await expect.poll(() => stream.requestHeadersSet()).toBeDefined();
  stream.response().end();
  expect(await stream.ended).toBe(0);
  await drained;
});

test("SIGTERM ends the program with 0, a second signal during the drain with 1", async () => {
  const modelPort = await modelServer((request, response) => {
    if (request.url === "/metrics") response.end("");
  });
  const flags = [...pickerFlags(modelPort), "--http-proxy-port=0"];
  const clean = await runProgram(flags);
  clean.child.kill("SIGTERM");
  expect(await clean.exited).toBe(0);

  const busy = await runProgram(flags);
  const hanging = fetch(`http://127.0.0.1:${busy.ready["proxy"]}/v1/completions`, {
    method: "POST",
    body: '{"model":"m","prompt":"x"}',
  }).catch((thrown: unknown) => thrown);
  await expect
    .poll(async () => (await fetch(`http://127.0.0.1:${busy.ready["metrics"]}/metrics`)).text())
    .toContain("llm_d_epp_http_proxy_open_requests 1");
  busy.child.kill("SIGINT");
  await expect.poll(() => busy.lines.join("\n")).toContain("draining");
  busy.child.kill("SIGTERM");
  expect(await busy.exited).toBe(1);
  expect(await hanging).toBeInstanceOf(Error);
});

/** A pipe with a name, as a shell makes one for `<(command)`. */
function namedPipe(): string {
  const path = join(temporaryFolder(), "config.yaml");
  execFileSync("mkfifo", [path]);
  return path;
}

test("a signal while the program still loads ends it with 0", async () => {
  const path = namedPipe();
  const child = spawn(fileURLToPath(new URL("../bin/epp", import.meta.url)), ["--config-file", path]);
  const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  // Opened once the program reads; it waits for what is never written.
  const pipe = await open(path, "w");
  child.kill("SIGTERM");
  await pipe.close();
  expect(await exited).toBe(0);
});

test("a configuration from a pipe is read once, and does not keep the program from ending", async () => {
  const path = namedPipe();
  const [, file, ...ports] = pickerFlags(1);
  const written = writeFile(
    path,
    `plugins: [{type: file-discovery, parameters: {path: ${JSON.stringify(file)}}}]
dataLayer: {discovery: {pluginRef: file-discovery}}
`,
  );
  const program = await runProgram([...ports, "--config-file", path]);
  await written;
  await expect.poll(() => program.lines.join("\n")).toContain("changes are not followed");
  program.child.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("SIGHUP drains a picker without a configuration file", async () => {
  const modelPort = await modelServer((_request, response) => response.end(""));
  const program = await runProgram(pickerFlags(modelPort));
  program.child.kill("SIGHUP");
  expect(await program.exited).toBe(0);
  expect(program.lines.join("\n")).toContain("draining");
});
