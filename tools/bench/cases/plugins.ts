import { WAITING_QUEUE_SIZE, writeAttribute } from "@pointsman/core";
import type { BenchCase, BenchRun, Row } from "../bench-case.ts";
import { figure } from "../figure.ts";
import { createPluginUnderTest, measuredTypes } from "../plugins/plugin-under-test.ts";
import { timeInTurn } from "../time-in-turn.ts";

/** What each in-tree plugin costs a request, by the size of the pool. */
export const pluginCases: readonly BenchCase[] = [100, 1000].map((endpoints) => ({
  name: `plugins/${endpoints}`,
  about:
    "CPU in this process, warm, of each in-tree plugin alone for as many endpoints, made from its least configuration by the loader, with a value for every signal it reads: all that it does for one request of 300 prompt tokens, from headers to the end of the answer. In turn with it, one loop that reads the queue length of each endpoint and its age and writes it into an array.",
  run: (bench) => run(bench, endpoints),
}));

async function run(bench: BenchRun, count: number): Promise<readonly Row[]> {
  const name = `plugins/${count}`;
  const timing = bench.quick
    ? { warmMs: 100, batchMs: 5, batchesPerRound: 4, rounds: 2 }
    : { warmMs: 400, batchMs: 10, batchesPerRound: 8, rounds: 3 };
  const rows: Row[] = [];
  for (const { type, kind } of await measuredTypes()) {
    const quantity = `${kind} ${type}: us/request`;
    bench.progress(`${name}: ${type}`);
    const plugin = await createPluginUnderTest(type, count);
    try {
      plugin.call(0);
    } catch (thrown: unknown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      rows.push({ case: name, quantity, kind: "not measured", why });
      await plugin.dispose();
      continue;
    }
    const [costs, passes] = timeInTurn([plugin.call, onePass(plugin.endpoints)], timing);
    await plugin.dispose();
    rows.push(figure({ case: name, quantity, pointsman: costs!, reference: { what: "one loop", values: passes! } }));
  }
  return rows;
}

/** The least that any plugin does which looks at every endpoint. */
function onePass(endpoints: Awaited<ReturnType<typeof createPluginUnderTest>>["endpoints"]): () => void {
  const { index } = WAITING_QUEUE_SIZE;
  const out = new Float64Array(endpoints.length);
  for (const endpoint of endpoints) {
    if (endpoint.values[index] === undefined) writeAttribute(endpoint, WAITING_QUEUE_SIZE, endpoint.slot % 12, 0);
  }
  return () => {
    for (let i = 0; i < endpoints.length; i++) {
      const { values, writtenAtMs } = endpoints[i]!;
      const value = values[index];
      out[i] = writtenAtMs[index]! >= 0 && typeof value === "number" ? value : 0;
    }
  };
}
