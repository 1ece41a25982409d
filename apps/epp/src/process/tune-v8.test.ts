import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { v8Flags } from "./tune-v8.ts";

test("V8 knows every flag", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--v8-options"], { maxBuffer: 10_000_000 });
  for (const flag of v8Flags) {
    expect(stdout).toContain(`\n  ${flag.split("=", 1)[0]} (`);
  }
});
