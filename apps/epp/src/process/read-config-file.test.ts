import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readConfigFile } from "./read-config-file.ts";

const folder = mkdtempSync(join(tmpdir(), "pointsman-config-"));
const file = join(folder, "epp.yaml");

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["", ""],
  ["small", "plugins: []\n"],
  ["of exactly one buffer", "x".repeat(65_536)],
  ["of several buffers, with characters across their ends", `x${"größe 模型\n".repeat(20_000)}`],
  ["with a byte order mark", "\ufeffplugins: []\n"],
])("a file %s is read as it is", async (_, text) => {
  writeFileSync(file, text);
  expect(await readConfigFile(file)).toBe(text);
});

test.each([
  ["a byte of Latin-1", "plugins:\n- name: gr\xf6\xdfe\n", 2],
  ["a character that breaks off at the end", "plugins: []\n# \xe6\xa8", 2],
  ["UTF-16", "\xff\xfea\0:\0 \x001\0\n\0", 1],
])("%s is refused with its line", async (_, bytes, line) => {
  writeFileSync(file, bytes, "latin1");
  await expect(readConfigFile(file)).rejects.toThrow(`line ${line} is not UTF-8 text`);
});

test("a file without an end is not read to the end of memory", async () => {
  await expect(readConfigFile("/dev/zero")).rejects.toThrow("it has more than 4194304 bytes");
});

test("a pipe is read to its end", async () => {
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  const read = readConfigFile(pipe);
  execFileSync("sh", ["-c", `printf 'plugins: []\\n' > '${pipe}'`]);
  expect(await read).toBe("plugins: []\n");
});
