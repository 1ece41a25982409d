import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { garbageCollectorFlags } from "./tune-garbage-collector.ts";

test("V8 knows every flag", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--v8-options"], { maxBuffer: 10_000_000 });
  for (const flag of garbageCollectorFlags) {
    expect(stdout).toContain(`\n  ${flag.split("=", 1)[0]} (`);
  }
});
