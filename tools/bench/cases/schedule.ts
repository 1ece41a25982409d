import { KV_CACHE_USAGE, PREFIX_MATCH, RequestError, RUNNING_REQUESTS_SIZE, WAITING_QUEUE_SIZE } from "@pointsman/core";
import type { BenchCase, BenchRun, Row } from "../bench-case.ts";
import { figure } from "../figure.ts";
import { createPickerInProcess, stalenessMs } from "../picker-in-process.ts";
import { plainCycle } from "../plain-cycle.ts";
import { timeInTurn } from "../time-in-turn.ts";

const preparedRequests = 64;
const learnedRequests = 512;

/** What one decision costs by the size of the pool. */
export const scheduleCases: readonly BenchCase[] = [10, 100, 1000, 5000].map((endpoints) => ({
  name: `schedule/${endpoints}`,
  about:
    "CPU in this process, warm, for as many endpoints, with the scorers queue, kv-cache-utilization, prefix-cache, no-hit-lru and running-requests-size. A cycle is Scheduler.schedule for requests whose prefix matches are known, three of four with a hit; in turn with it, two loops by hand that read the same signals and score alike. A decision is all of RequestControl.route for a parsed 1.2 KB prompt: tokens, prefix match, cycle, recording, decision record.",
  run: (bench) => run(bench, endpoints),
}));

async function run(bench: BenchRun, count: number): Promise<readonly Row[]> {
  const name = `schedule/${count}`;
  bench.progress(name);
  const picker = await createPickerInProcess(count);
  const { endpoints, scheduler, router } = picker;

  // The prefix index and the order of use fill with decisions.
  for (let call = 0; call < learnedRequests; call++) failOn(await router.control.route(picker.request(call)));
  const requests = await Promise.all(
    Array.from({ length: preparedRequests }, async (_, i) => {
      const request = picker.request(i);
      await picker.produce(request);
      // Every fourth prompt is one that nobody has seen.
      const match = request.attributes.get(PREFIX_MATCH.from());
      if (match === undefined) throw new Error("no producer wrote a prefix match");
      if (i % 4 === 0) match.matchedBlocks.fill(0);
      else if (!match.matchedBlocks.some((blocks) => blocks > 0)) throw new Error("no endpoint holds a learned prompt");
      return { request, match };
    }),
  );

  const signals = {
    waiting: WAITING_QUEUE_SIZE,
    running: RUNNING_REQUESTS_SIZE,
    kvCacheUsage: KV_CACHE_USAGE,
    stalenessMs,
  };
  const waiting = new Float64Array(count);
  const running = new Float64Array(count);
  let sink = 0;
  const cycle = (call: number): void =>
    failOn(scheduler.schedule(requests[call % preparedRequests]!.request, endpoints, undefined));
  const plainLoop = (call: number): void => {
    const { match } = requests[call % preparedRequests]!;
    sink += plainCycle(endpoints, match, performance.now(), signals, waiting, running);
  };
  const decision = (call: number): void => {
    const routed = router.control.route(picker.request(call));
    if (routed instanceof Promise) throw new Error("a decision of these plugins waits for something");
    failOn(routed);
  };
  const timing = bench.quick
    ? { warmMs: 300, batchMs: 20, batchesPerRound: 8, rounds: 2 }
    : { warmMs: 2000, batchMs: 25, batchesPerRound: 20, rounds: 3 };
  const [cycles, plain, decisions] = timeInTurn([cycle, plainLoop, decision], timing);
  await picker.dispose();
  if (!Number.isFinite(sink)) throw new Error("the plain loop picks no endpoint");
  return [
    figure({
      case: name,
      quantity: "CPU us/cycle",
      pointsman: cycles!,
      reference: { what: "plain loop", values: plain! },
    }),
    figure({ case: name, quantity: "CPU us/decision", pointsman: decisions! }),
  ];
}

function failOn(outcome: unknown): void {
  if (outcome instanceof RequestError) throw outcome;
}
