import { test } from "vitest";
import type { SidecarOptions } from "../../src/config/sidecar-options.ts";
import { Bench } from "./bench.ts";
import type { Answer, FakeServer } from "./fake-server.ts";

/** Numbers of the scenarios of the disaggregation spec that have run in this file. */
export interface Scenario {
  /** Number in the spec's table. */
  readonly id: string;
  readonly outcome: string;
  run(): Promise<void>;
}

/** Makes a test of every row. */
export function scenarios(rows: readonly Scenario[]): void {
  test.each(rows)("$id: $outcome", async ({ run }) => {
    await run();
  });
}

/** A chat as most rows send it. */
export const chat: Readonly<Record<string, unknown>> = {
  model: "m",
  messages: [{ role: "user", content: "hello" }],
  max_tokens: 50,
};

export const completion: Readonly<Record<string, unknown>> = {
  id: "d",
  object: "chat.completion",
  choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10 },
};

/** What a prefill server of vLLM's NixlConnector answers. */
export const prefilled = {
  id: "p",
  choices: [{ index: 0, message: { role: "assistant", content: "x" }, finish_reason: "length" }],
  usage: { prompt_tokens: 9, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 7 } },
  kv_transfer_params: { remote_block_ids: [1, 2, 3], remote_engine_id: "e", remote_host: "h", remote_port: 5 },
};

export interface Pair {
  readonly bench: Bench;
  readonly p: FakeServer;
  readonly d: FakeServer;
  readonly pf: Record<string, string>;
}

/** A prefill server P, a decode server D and a sidecar beside D. */
export async function pair(
  options: Partial<SidecarOptions> = {},
  p: readonly Answer[] = [{ body: prefilled }],
  d: readonly Answer[] = [{ body: completion }],
): Promise<Pair> {
  const bench = new Bench();
  const prefill = await bench.server("P", ...p);
  const decode = await bench.server("D", ...d);
  await bench.start([decode], options);
  return { bench, p: prefill, d: decode, pf: { "x-prefiller-host-port": prefill.hostPort } };
}
