/**
 * Measures what in-tree plugins allocate for one request, by the size of the pool:
 * `node --expose-gc ... allocation-process.ts <endpoints> <endpoints> [type...]`, as a child with a message channel, with
 * the flags of `measureAllocations`. Sends one `Allocation` for each plugin, then "done".
 */
import { GCProfiler } from "node:v8";
import type { Allocation } from "./allocation.ts";
import { createPluginUnderTest, measuredTypes, type PluginUnderTest } from "./plugin-under-test.ts";

/** As many looks at an endpoint are enough for what is hot to be compiled, and compiled again. */
const warmVisits = 300_000;
const maxWarmCalls = 3000;
const callsPerBatch = 64;
const batches = 7;

const [few, many] = process.argv.slice(2, 4).map(Number);
const wanted = new Set(process.argv.slice(4));

/**
 * What a request allocates once code is compiled: the least of several batches of calls, within which nothing is collected.
 * Each batch is warmed for, as a collection may throw compiled code away at any time.
 */
function bytesPerCall(plugin: PluginUnderTest): number {
  let number = 0;
  const warmCalls = Math.ceil(Math.min(maxWarmCalls, warmVisits / plugin.endpoints.length));
  let least = Number.POSITIVE_INFINITY;
  for (let batch = 0; batch < batches; batch++) {
    for (let call = 0; call < warmCalls; call++) plugin.call(number++);
    globalThis.gc?.({ type: "minor" });
    const profiler = new GCProfiler();
    profiler.start();
    const before = heldBytes();
    for (let call = 0; call < callsPerBatch; call++) plugin.call(number++);
    const bytes = heldBytes() - before;
    if ((profiler.stop()?.statistics.length ?? 0) === 0) least = Math.min(least, bytes / callsPerBatch);
  }
  if (least === Number.POSITIVE_INFINITY) throw new Error("garbage was collected whenever it was measured");
  return least;
}

/** Objects on the heap and the memory behind typed arrays. */
function heldBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function measure(type: string, endpoints: number): Promise<number> {
  const plugin = await createPluginUnderTest(type, endpoints);
  try {
    return bytesPerCall(plugin);
  } finally {
    await plugin.dispose();
  }
}

for (const { type, kind } of await measuredTypes()) {
  if (wanted.size > 0 && !wanted.has(type)) continue;
  let found: Allocation;
  try {
    const bytesFew = await measure(type, few!);
    const bytesMany = await measure(type, many!);
    found = { type, kind, bytesFew, bytesMany, bytesPerEndpoint: (bytesMany - bytesFew) / (many! - few!) };
  } catch (thrown: unknown) {
    found = { type, kind, why: thrown instanceof Error ? thrown.message : String(thrown) };
  }
  process.send?.(found);
}
process.send?.("done");
process.disconnect();
