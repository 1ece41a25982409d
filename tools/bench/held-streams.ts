import type { BenchRun } from "./bench-case.ts";
import type { Worker } from "./child-processes.ts";

/** What has become of the streams of a client that holds many. */
export interface HeldStreams {
  readonly open: number;
  /** Never opened. */
  readonly failed: number;
  /** Opened, and ended before they should. */
  readonly ended: number;
  readonly firstProblem: string;
}

/** Opens streams from a process of their own; stopping the worker ends them. Rejects unless all are open. */
export async function holdStreams(
  bench: BenchRun,
  options: { readonly port: number; readonly streams: number; readonly promptBytes: number },
): Promise<Worker> {
  const { port, streams, promptBytes } = options;
  const worker = bench.children.worker("held-streams-process.ts", [port, streams, promptBytes]);
  checkHeld(await worker.next<HeldStreams>(), streams);
  return worker;
}

/** Throws unless all streams are open. */
export function checkHeld(state: HeldStreams, streams: number): void {
  if (state.open === streams) return;
  const { open, failed, ended, firstProblem } = state;
  throw new Error(`${open} of ${streams} streams are open, ${failed} never were, ${ended} ended. ${firstProblem}`);
}
