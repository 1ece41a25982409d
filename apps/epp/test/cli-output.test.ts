/** What the program does when what it prints cannot be written. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test, vi } from "vitest";

// Each case starts processes, which takes seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const bin = fileURLToPath(new URL("../bin/epp", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "epp-output-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const good = join(directory, "good.yaml");
const bad = join(directory, "bad.yaml");
writeFileSync(good, "plugins: [{type: queue-scorer}]\n");
writeFileSync(bad, "plugins: [{type: nothing}]\n");

interface Ended {
  readonly code: number | null;
  readonly err: string;
}

/** Runs the program with nobody to read one of its streams. */
function unread(stream: "stdout" | "stderr", ...args: readonly string[]): Promise<Ended> {
  const child = spawn(bin, args, { stdio: ["ignore", "pipe", "pipe"] });
  child[stream].destroy();
  let err = "";
  child.stderr.on("data", (bytes: Buffer) => {
    err += bytes.toString();
  });
  child.stdout.resume();
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, err })));
}

test.each([
  ["stdout", ["plugins"], 0],
  ["stdout", ["check", bad, "--json"], 2],
  ["stderr", ["check", bad], 2],
  ["stderr", ["check", good], 0],
] as const)("without a reader of %s, epp %j ends with its own exit code, quietly", async (stream, args, code) => {
  expect(await unread(stream, ...args)).toEqual({ code, err: "" });
});

// Linux has a file that never takes a byte.
if (existsSync("/dev/full")) {
  test("output that a full disk does not take is one line of error and exit code 1", async () => {
    const child = spawn(bin, ["plugins"], { stdio: ["ignore", openSync("/dev/full", "w"), "pipe"] });
    let err = "";
    child.stderr!.on("data", (bytes: Buffer) => {
      err += bytes.toString();
    });
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(err).toMatch(/^epp: the output cannot be written: ENOSPC.*\n$/);
    expect(code).toBe(1);
  });
}

test.each([
  ["is read no further", (child: ReturnType<typeof spawn>) => child.stdout!.destroy()],
  ["loses its terminal", (child: ReturnType<typeof spawn>) => child.kill("SIGHUP")],
])("a demo that %s stops its servers and leaves no files", async (_name, leave) => {
  const home = mkdtempSync(join(directory, "demo-"));
  const child = spawn(bin, ["demo", "--port=0"], {
    env: { ...process.env, TMPDIR: home },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  let out = "";
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (bytes: Buffer) => {
      out += bytes.toString();
      if (out.includes("built-in proxy")) resolve();
    });
  });
  const ports = [...out.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
  expect(ports).toHaveLength(4);
  leave(child);
  expect(await ended).toBe(0);
  for (const port of ports) expect(await isListening(port)).toBe(false);
  expect(readdirSync(home).filter((name) => name.startsWith("pointsman-demo-"))).toEqual([]);
});

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
