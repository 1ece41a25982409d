import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../workspace-packages.ts";
import { parts } from "./parts.ts";
import { Running } from "./running.ts";

test("h2spec finds nothing wrong with the HTTP/2 transport", async () => {
  const server = new Running("echo server", process.execPath, [
    "--conditions=@pointsman/source",
    join(root, "packages/grpc-transport/bench/echo-server.ts"),
    "0",
  ]);
  try {
    const listening = await server.line((line) => line.startsWith("listening on"));
    const port = /:(\d+),/.exec(listening)![1]!;
    const { code, out } = await new Promise<{ code: number; out: string }>((resolve) => {
      execFile(
        parts.h2spec(),
        ["-h", "127.0.0.1", "-p", port, "-S", "-o", "10"],
        { timeout: 100_000 },
        (error, stdout) => {
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), out: stdout });
        },
      );
    });
    expect(out).toMatch(/146 tests, 146 passed, 0 skipped, 0 failed/);
    expect(code).toBe(0);
  } finally {
    await server.stop();
  }
});
