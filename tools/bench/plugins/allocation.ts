import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { PluginKind } from "@pointsman/core";

/** What a plugin allocates for one request, or why that is not known. */
export type Allocation =
  | {
      readonly type: string;
      readonly kind: PluginKind;
      /** Bytes for one request with the smaller and with the larger pool. */
      readonly bytesFew: number;
      readonly bytesMany: number;
      /** What one more endpoint adds. */
      readonly bytesPerEndpoint: number;
    }
  | { readonly type: string; readonly kind: PluginKind; readonly why: string };

/** Measures in a process of its own, whose young generation is so large that nothing is collected meanwhile. */
export function measureAllocations(few: number, many: number, types: readonly string[] = []): Promise<Allocation[]> {
  const file = fileURLToPath(new URL("allocation-process.ts", import.meta.url));
  const child = fork(file, [String(few), String(many), ...types], {
    execArgv: [
      ...["--conditions=@pointsman/source", "--expose-gc"],
      // Code is compiled when it is hot and not some time later, so that every run measures the same code.
      ...[
        "--no-concurrent-recompilation",
        "--single-threaded-gc",
        "--min-semi-space-size=256",
        "--max-semi-space-size=256",
      ],
    ],
  });
  const found: Allocation[] = [];
  return new Promise((resolve, reject) => {
    let done = false;
    child.on("message", (message) => {
      if (message === "done") done = true;
      // Both ends are files of this folder.
      else found.push(message as Allocation);
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      if (done) resolve(found);
      else reject(new Error(`allocation-process.ts ended with code ${code} after ${found.length} plugins`));
    });
  });
}
