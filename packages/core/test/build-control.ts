import { DecisionLog } from "../src/decision/decision-log.ts";
import { admitAll } from "../src/request-control/admission.ts";
import { RequestControl, type RequestControlOptions } from "../src/request-control/request-control.ts";
import { PluginCalls } from "../src/scheduling/plugin-calls.ts";
import { Scheduler, type SchedulingProfile } from "../src/scheduling/scheduler.ts";
import { allProfiles, bestPicker } from "./build-scheduler.ts";
import { RecordingLogger } from "./recording-logger.ts";
import { RecordingMetrics } from "./recording-metrics.ts";
import { FakeClock } from "./testkit.ts";

export interface BuiltControl {
  readonly control: RequestControl;
  readonly decisions: DecisionLog;
  readonly clock: FakeClock;
  readonly metrics: RecordingMetrics;
  readonly logger: RecordingLogger;
}

/** Request control without plugins but for those given; one profile that takes the best total. */
export function buildControl(
  options: Partial<RequestControlOptions> & { readonly profile?: Partial<SchedulingProfile> } = {},
): BuiltControl {
  const { profile, ...overrides } = options;
  const metrics = new RecordingMetrics();
  const logger = new RecordingLogger();
  const clock = new FakeClock();
  const calls = new PluginCalls(metrics, logger);
  const decisions = options.decisions ?? new DecisionLog(8, clock);
  const control = new RequestControl({
    scheduler: new Scheduler({
      profiles: [{ name: "default", filters: [], scorers: [], picker: bestPicker, ...profile }],
      profileHandler: allProfiles,
      calls,
      clock,
      metrics,
    }),
    endpoints: () => [],
    requestHeaderProcessors: [],
    screeners: [],
    producers: [],
    admitters: [],
    preRequests: [],
    admission: admitAll,
    ignoreSubsetHint: false,
    recordedSignals: [],
    decisions,
    calls,
    clock,
    timers: clock.timers,
    ...overrides,
  });
  return { control, decisions, clock, metrics, logger };
}
