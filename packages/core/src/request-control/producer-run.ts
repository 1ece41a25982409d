import type { Clock, Timers } from "../clock.ts";
import type { StageTrace } from "../decision/decision-record.ts";
import type { Endpoint } from "../endpoint.ts";
import type { DataProducer } from "../plugin/request-plugins.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type { InferenceRequest } from "../request.ts";
import type { PluginCalls } from "../scheduling/plugin-calls.ts";

/** Longest wait for a producer that states none. Source: spec ext-proc section 5. */
export const defaultProduceTimeoutMs = 400;

/** Producers by dependency: a level starts when the one before is done. */
export type ProducerLevels = readonly (readonly NamedPlugin<DataProducer>[])[];

interface Deps {
  readonly calls: PluginCalls;
  readonly clock: Clock;
  readonly timers: Timers;
}

/**
 * Runs the producers: levels in order, within a level side by side. A producer that fails or takes too long is
 * reported, and what it writes later is dropped; the others and the request go on.
 *
 * Returns a promise only if some producer did.
 */
export function runProducers(
  levels: ProducerLevels,
  request: InferenceRequest,
  endpoints: readonly Endpoint[],
  stages: StageTrace[] | undefined,
  deps: Deps,
): undefined | Promise<void> {
  for (let level = 0; level < levels.length; level++) {
    const waiting = runLevel(levels[level]!, request, endpoints, stages, deps);
    if (waiting !== undefined) {
      return waiting.then(() => runProducers(levels.slice(level + 1), request, endpoints, stages, deps));
    }
  }
  return undefined;
}

function runLevel(
  producers: readonly NamedPlugin<DataProducer>[],
  request: InferenceRequest,
  endpoints: readonly Endpoint[],
  stages: StageTrace[] | undefined,
  deps: Deps,
): undefined | Promise<void> {
  let waiting: Promise<void>[] | undefined;
  for (const producer of producers) {
    const startMs = deps.clock.now();
    const done = (problem?: string): void => {
      const durationMs = deps.clock.now() - startMs;
      deps.calls.observe("DataProducer", producer, durationMs);
      stages?.push({ stage: "producer", plugin: producer, durationMs, remaining: undefined, problem });
    };
    let result: void | Promise<void>;
    try {
      result = producer.instance.produce(request, endpoints);
    } catch (thrown: unknown) {
      deps.calls.failed("DataProducer", producer, "threw", thrown);
      done("threw");
      continue;
    }
    if (result === undefined) {
      done();
      continue;
    }
    waiting ??= [];
    waiting.push(bounded(result, producer, request, deps, done));
  }
  return waiting === undefined ? undefined : Promise.all(waiting).then(() => undefined);
}

function bounded(
  result: Promise<void>,
  producer: NamedPlugin<DataProducer>,
  request: InferenceRequest,
  deps: Deps,
  done: (problem?: string) => void,
): Promise<void> {
  const timeoutMs = producer.instance.produceTimeoutMs ?? defaultProduceTimeoutMs;
  return new Promise((resolve) => {
    let settled = false;
    const settle = (problem?: string): void => {
      if (settled) return;
      settled = true;
      timer.stop();
      done(problem);
      resolve();
    };
    const timer = deps.timers.after(timeoutMs, () => {
      if (settled) return;
      request.markLate(producer.name);
      deps.calls.failed("DataProducer", producer, `took longer than ${timeoutMs} ms`);
      settle(`took longer than ${timeoutMs} ms`);
    });
    // Whatever else a plugin returns counts as done.
    Promise.resolve(result).then(
      () => settle(),
      (thrown: unknown) => {
        if (!settled) deps.calls.failed("DataProducer", producer, "failed", thrown);
        settle("failed");
      },
    );
  });
}
