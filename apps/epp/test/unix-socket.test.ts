import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { ExtProcStream, endAll, modelServer, pickerFlags, startPicker, temporaryFolder } from "./picker.ts";

afterEach(endAll);

const idleServer = () =>
  modelServer((request, response) => {
    if (request.url === "/metrics") response.end("vllm:num_requests_waiting 0\n");
  });

test.each(["http2", "grpc-js"])(
  "on %s, a request at the Unix socket is decided as at the port, and a drain waits for it",
  async (transport) => {
    const modelPort = await idleServer();
    const path = join(temporaryFolder(), "ext-proc.sock");
    const { epp, ports } = await startPicker([
      ...pickerFlags(modelPort),
      ...["--ext-proc-socket", path, `--ext-proc-transport=${transport}`],
    ]);
    expect(ports.extProcSocket).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    const stream = new ExtProcStream(path).request();
    await expect
      .poll(() => stream.requestHeadersSet()?.["x-gateway-destination-endpoint"])
      .toBe(`127.0.0.1:${modelPort}`);

    let stopped = false;
    const drained = epp.drain().then(() => {
      stopped = true;
    });
    await new Promise(setImmediate);
    expect(stopped).toBe(false);
    stream.response().end();
    expect(await stream.ended).toBe(0);
    await drained;
    expect(existsSync(path)).toBe(false);
  },
);

test("a Unix socket that a killed process left behind is replaced", async () => {
  const path = join(temporaryFolder(), "ext-proc.sock");
  const killed = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  expect(() => execFileSync(process.execPath, ["-e", killed], { stdio: "ignore" })).toThrow();
  expect(statSync(path).isSocket()).toBe(true);

  await startPicker([...pickerFlags(await idleServer()), "--ext-proc-socket", path]);
  const stream = new ExtProcStream(path).request();
  await expect.poll(() => stream.requestHeadersSet()).toBeDefined();
});

test("a file at the path stops the start and stays as it is", async () => {
  const path = join(temporaryFolder(), "ext-proc.sock");
  writeFileSync(path, "mine");
  await expect(startPicker([...pickerFlags(await idleServer()), "--ext-proc-socket", path])).rejects.toThrow(
    `--ext-proc-socket=${path}: cannot listen: what is there is no socket`,
  );
  expect(readFileSync(path, "utf8")).toBe("mine");
});

test("a path in a folder that is not there stops the start and names the folder", async () => {
  const path = join(temporaryFolder(), "missing", "ext-proc.sock");
  await expect(startPicker([...pickerFlags(await idleServer()), "--ext-proc-socket", path])).rejects.toThrow(
    `--ext-proc-socket=${path}: cannot listen: there is no folder ${dirname(path)}`,
  );
});

test("a Unix socket of a running process stops the start and goes on serving", async () => {
  const path = join(temporaryFolder(), "ext-proc.sock");
  const other = createServer().listen(path);
  await expect(startPicker([...pickerFlags(await idleServer()), "--ext-proc-socket", path])).rejects.toThrow(
    `--ext-proc-socket=${path}: cannot listen: another process listens there`,
  );
  expect(other.listening && existsSync(path)).toBe(true);
  other.close();
});

test("a path that no Unix socket can have is refused with the length that one can have", async () => {
  const path = join(temporaryFolder(), "s".repeat(120));
  await expect(startPicker([...pickerFlags(await idleServer()), "--ext-proc-socket", path])).rejects.toThrow(
    /--ext-proc-socket=.*: the path has \d+ bytes; that of a Unix socket has at most 107/,
  );
});
