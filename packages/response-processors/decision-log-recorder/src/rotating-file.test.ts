import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { maxQueuedBytes, RotatingFile } from "./rotating-file.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rotating-file-"));
});
afterEach(() => rm(folder, { recursive: true }));

function open(maxBytes: number, name = "log") {
  const told = { written: 0, failed: 0, errors: [] as string[] };
  const file = new RotatingFile(join(folder, name), maxBytes, {
    written: (lines) => {
      told.written += lines;
    },
    failed: (lines, error) => {
      told.failed += lines;
      told.errors.push(String(error));
    },
  });
  return { file, told };
}

const read = (name: string): Promise<string> => readFile(join(folder, name), "utf8");
const lines = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `line ${String(from + i).padStart(4, "0")}\n`);

test("lines stand in the file in the order they came, whoever wrote before", async () => {
  for (const [from, to] of [
    [0, 50],
    [50, 120],
  ] as const) {
    const { file, told } = open(1e6);
    for (const line of lines(from, to)) expect(file.append(line)).toBe(true);
    await file.close();
    expect(told).toEqual({ written: to - from, failed: 0, errors: [] });
  }
  expect(await read("log")).toBe(lines(0, 120).join(""));
  expect((await stat(join(folder, "log"))).mode & 0o777).toBe(0o600);
});

test("no file is made before there is a line", async () => {
  const { file } = open(1e6);
  await file.close();
  await expect(read("log")).rejects.toThrow("ENOENT");
});

test("a full file is put aside and a new one begun; no more than two are kept, none larger than allowed", async () => {
  const { file, told } = open(100);
  for (const line of lines(0, 35)) file.append(line);
  await file.close();
  expect(told.written).toBe(35);
  expect(await read("log.1")).toBe(lines(20, 30).join(""));
  expect(await read("log")).toBe(lines(30, 35).join(""));
});

test("a line without an end, which a killed process left, is ended before the next one", async () => {
  await writeFile(join(folder, "log"), "torn");
  const { file } = open(1e6);
  file.append("next\n");
  await file.close();
  expect(await read("log")).toBe("torn\nnext\n");
});

test("lines that cannot be written are counted as lost, and later ones are written once that is possible", async () => {
  await mkdir(join(folder, "log"));
  const { file, told } = open(1e6);
  for (const line of lines(0, 3)) file.append(line);
  await file.close();
  expect(told).toMatchObject({ written: 0, failed: 3 });
  expect(told.errors[0]).toContain("EISDIR");
  await rename(join(folder, "log"), join(folder, "folder"));
  file.append("later\n");
  await file.close();
  expect(told.written).toBe(1);
  expect(await read("log")).toBe("later\n");
});

test("what waits is bounded, and what is refused is not written", async () => {
  const { file, told } = open(1e9);
  const big = `${"x".repeat(1024 ** 2 - 1)}\n`;
  const taken = Array.from({ length: 12 }, () => file.append(big)).filter(Boolean).length;
  expect(taken).toBe(maxQueuedBytes / 1024 ** 2);
  expect(file.queuedBytes).toBe(maxQueuedBytes);
  await file.close();
  expect(file.queuedBytes).toBe(0);
  expect(told.written).toBe(taken);
  expect(await read("log")).toHaveLength(taken * big.length);
});
