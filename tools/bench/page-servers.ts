import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchRun } from "./bench-case.ts";
import type { Worker } from "./child-processes.ts";

/** Fake model servers that serve metrics pages, all in one process of their own. */
export interface PageServers {
  readonly ports: readonly number[];
  readonly pageBytes: number;
  /** Lists the servers for a file-discovery plugin. */
  readonly endpointsFile: string;
  readonly pid: number;
  /** Pages served so far, by all servers. */
  served(): Promise<number>;
}

export async function startPageServers(bench: BenchRun, count: number): Promise<PageServers> {
  const worker: Worker = bench.children.worker("page-server-process.ts", [count]);
  const { ports, pageBytes } = await worker.next<{ ports: readonly number[]; pageBytes: number }>();
  const endpointsFile = join(bench.directory, `endpoints-${count}.yaml`);
  const entries = ports.map((port, i) => `  - {name: server-${i}, address: 127.0.0.1, port: "${port}"}\n`);
  writeFileSync(endpointsFile, `endpoints:\n${entries.join("")}`);
  return { ports, pageBytes, endpointsFile, pid: worker.pid, served: () => worker.ask<number>("served") };
}
