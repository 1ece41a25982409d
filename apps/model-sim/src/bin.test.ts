import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";

const program = fileURLToPath(new URL("../bin/model-sim", import.meta.url));
const children: ChildProcess[] = [];
const directories: string[] = [];

afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill("SIGKILL");
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

interface Exit {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], path = program, directory = tmpdir()) {
  const child = spawn(path, args, { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let stdout = "";
  let stderr = "";
  const firstLine = new Promise<string>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
      if (stdout.includes("\n")) resolve(stdout.slice(0, stdout.indexOf("\n")));
    });
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exited = new Promise<Exit>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { child, firstLine, exited };
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "model-sim-"));
  directories.push(directory);
  return directory;
}

const slowRequest = { method: "POST", body: JSON.stringify({ prompt: "abcd", max_tokens: 40 }) };

test("it prints one line with its address, serves, finishes open requests on SIGTERM and exits with 0", async () => {
  const { child, firstLine, exited } = run(["--port", "0", "--name", "sim-9"]);
  const line: { event: string; name: string; url: string; pid: number } = JSON.parse(await firstLine);
  expect(line).toEqual({ event: "listening", name: "sim-9", url: expect.any(String), pid: child.pid });
  const reply = await fetch(`${line.url}/v1/completions`, {
    ...slowRequest,
    body: JSON.stringify({ prompt: "abcd", max_tokens: 40, stream: true }),
  });
  expect(reply.headers.get("x-model-sim-server")).toBe("sim-9");
  child.kill("SIGTERM");
  expect(await reply.text()).toContain("[DONE]");
  expect(await exited).toEqual({ code: 0, stdout: `${JSON.stringify(line)}\n`, stderr: "" });
});

test("it runs through a symbolic link from any directory, and prints the control port's address", async () => {
  const directory = temporaryDirectory();
  symlinkSync(program, join(directory, "first"));
  symlinkSync("first", join(directory, "second"));
  const { child, firstLine, exited } = run(["--control-port", "0"], join(directory, "second"), directory);
  const { controlUrl, url, name } = JSON.parse(await firstLine);
  expect(name).toBe(`model-sim-${new URL(url).port}`);
  expect((await fetch(`${controlUrl}/control`)).status).toBe(200);
  child.kill("SIGINT");
  expect((await exited).code).toBe(0);
});

test("open requests get a bounded time after SIGTERM", async () => {
  const { child, firstLine, exited } = run(["--hang", "inference", "--shutdown-timeout-ms", "50"]);
  const { url } = JSON.parse(await firstLine);
  const asked = fetch(`${url}/v1/completions`, slowRequest).catch(() => "gone");
  await expect.poll(async () => (await fetch(`${url}/health`)).status).toBe(200);
  child.kill("SIGTERM");
  expect(await asked).toBe("gone");
  expect((await exited).code).toBe(0);
});

test("a second signal ends it at once with 1", async () => {
  const { child, firstLine, exited } = run(["--hang", "all"]);
  const { url } = JSON.parse(await firstLine);
  const asked = fetch(`${url}/health`).catch(() => "gone");
  // The order of arrival is the order of connecting: when this one is answered, the first is open.
  expect((await fetch(`${url}/control`)).status).toBe(200);
  child.kill("SIGTERM");
  await expect.poll(async () => await fetch(`${url}/control`).catch(() => "refused")).toBe("refused");
  expect(child.exitCode).toBeNull();
  child.kill("SIGTERM");
  expect((await exited).code).toBe(1);
  expect(await asked).toBe("gone");
});

test("wrong flags exit with 2 and say all that is wrong, on stderr only", async () => {
  const { exited } = run(["--prot", "1", "--kv-blocks", "0"]);
  expect(await exited).toEqual({
    code: 2,
    stdout: "",
    stderr:
      "model-sim: --prot is not a flag; the nearest flag is --port\n" +
      "model-sim: --kv-blocks must be an integer from 1 to 4000000 (blocks), not 0\n",
  });
});

test("a port that is taken exits with 1 and names it", async () => {
  const first = run([]);
  const { url } = JSON.parse(await first.firstLine);
  const second = run(["--port", new URL(url).port]);
  const exit = await second.exited;
  expect(exit.code).toBe(1);
  expect(exit.stderr).toContain(
    `cannot start: listen EADDRINUSE: address already in use 127.0.0.1:${new URL(url).port}`,
  );
});

test("help and version go to stdout", async () => {
  const [help, version] = await Promise.all([run(["--help"]).exited, run(["--version"]).exited]);
  expect(help).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("--max-num-seqs") });
  expect(version).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});
