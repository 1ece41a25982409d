export interface TurnTiming {
  readonly warmMs: number;
  readonly batchMs: number;
  readonly batchesPerRound: number;
  readonly rounds: number;
}

/**
 * CPU microseconds of one call, by function and round, of functions in one process that take turns: a batch of calls of
 * the first, one of the second, and so on. Counts all threads, so that collecting garbage is in it, and no time in which
 * another process had the core. Each function is called for `warmMs` before; a batch has as many calls as fit into
 * `batchMs`. Calls get a number that counts up.
 */
export function timeInTurn(
  functions: readonly ((call: number) => void)[],
  timing: TurnTiming,
): readonly (readonly number[])[] {
  const callsPerBatch = functions.map((run) => {
    let calls = 0;
    const startUs = cpuUs();
    const startMs = performance.now();
    while (performance.now() - startMs < timing.warmMs) run(calls++);
    return Math.max(1, Math.round((calls * timing.batchMs * 1000) / Math.max(1, cpuUs() - startUs)));
  });
  const times = functions.map((): number[] => []);
  for (let round = 0; round < timing.rounds; round++) {
    const usedUs = functions.map(() => 0);
    for (let batch = 0; batch < timing.batchesPerRound; batch++) {
      functions.forEach((run, which) => {
        const startUs = cpuUs();
        for (let call = 0; call < callsPerBatch[which]!; call++) run(call);
        usedUs[which]! += cpuUs() - startUs;
      });
    }
    usedUs.forEach((sumUs, which) => {
      times[which]!.push(sumUs / (callsPerBatch[which]! * timing.batchesPerRound));
    });
  }
  return times;
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
