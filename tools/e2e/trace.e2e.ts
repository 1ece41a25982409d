import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parts } from "./parts.ts";
import { post, Stack } from "./stack.ts";

interface TraceRow {
  readonly input_length: number;
  readonly output_length: number;
  readonly hash_ids: readonly number[];
}

/** Tokens of one hash id in the trace, and how much of it is kept here: a prompt is scaled down so that a run takes seconds. */
const blockTokens = 512;
const scale = 1 / 8;
const bytesPerToken = 4;

/** Text of one block: the same for the same id, different from the first characters on for others. */
function blockText(id: number, tokens: number): string {
  const word = `block ${id} `;
  return word.repeat(Math.ceil((tokens * bytesPerToken) / word.length)).slice(0, tokens * bytesPerToken);
}

function prompt(row: TraceRow): string {
  const tokens = Math.round(row.input_length * scale);
  const block = blockTokens * scale;
  return row.hash_ids.map((id, i) => blockText(id, Math.max(0, Math.min(block, tokens - i * block)))).join("");
}

/**
 * The first 300 requests of conversations with three turns or more: what is known of a conversation before its first
 * turn helps nobody, and most of this trace's have a single one.
 */
function conversations(): TraceRow[] {
  const rows = readFileSync(parts.trace(), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as TraceRow);
  const turns = new Map<number | undefined, number>();
  // The first block is a system prompt that all share; the second tells conversations apart.
  for (const { hash_ids } of rows) turns.set(hash_ids[1], (turns.get(hash_ids[1]) ?? 0) + 1);
  return rows.filter(({ hash_ids }) => hash_ids.length > 1 && turns.get(hash_ids[1])! >= 3).slice(0, 300);
}

async function replay(picker: string): Promise<{ readonly hitRate: number; readonly failures: number }> {
  const rows = conversations();
  const stack = new Stack();
  try {
    // Caches that hold part of the trace, as in production.
    await stack.startServers(3, ["--kv-blocks", "12000", "--time-scale", "10"]);
    await stack.startEpp({
      config: `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: queue-scorer
  - type: kv-cache-utilization-scorer
  - type: prefix-cache-scorer
  - type: ${picker}
  - type: file-discovery
    parameters: {path: ENDPOINTS_FILE}
schedulingProfiles:
  - name: default
    plugins:
      - {pluginRef: queue-scorer, weight: 2}
      - {pluginRef: kv-cache-utilization-scorer, weight: 2}
      - {pluginRef: prefix-cache-scorer, weight: 3}
      - {pluginRef: ${picker}}
dataLayer:
  discovery: {pluginRef: file-discovery}
`,
    });
    await stack.startEnvoy();
    let cached = 0;
    let total = 0;
    let failures = 0;
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let row = rows[next++]; row !== undefined; row = rows[next++]) {
        const answer = await post(stack.envoyUrl, "/v1/completions", {
          model: "Qwen/Qwen3-8B",
          prompt: prompt(row),
          max_tokens: Math.max(1, Math.round(row.output_length * scale)),
        });
        if (answer.status !== 200) {
          failures++;
          continue;
        }
        const { usage } = JSON.parse(answer.text) as {
          usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
        };
        total += usage.prompt_tokens;
        cached += usage.prompt_tokens_details.cached_tokens;
      }
    };
    await Promise.all(Array.from({ length: 6 }, worker));
    return { hitRate: cached / total, failures };
  } finally {
    await stack.stop();
  }
}

test("300 requests of a real trace through Envoy: no errors, and more prefix hits than with random picking", async () => {
  const picked = await replay("max-score-picker");
  const random = await replay("random-picker");
  console.log(
    `prefix hit rate: max-score-picker ${(picked.hitRate * 100).toFixed(1)} %, random-picker ${(random.hitRate * 100).toFixed(1)} %`,
  );
  expect(picked.failures).toBe(0);
  expect(random.failures).toBe(0);
  expect(picked.hitRate).toBeGreaterThan(random.hitRate * 1.5);
});
