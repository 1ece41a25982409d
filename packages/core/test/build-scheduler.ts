import type { NamedPlugin } from "../src/plugin/roles.ts";
import type { Picker, ProfileHandler } from "../src/plugin/scheduling-plugins.ts";
import { RequestError } from "../src/request-error.ts";
import { PluginCalls } from "../src/scheduling/plugin-calls.ts";
import { Scheduler, type SchedulingProfile } from "../src/scheduling/scheduler.ts";
import { RecordingLogger } from "./recording-logger.ts";
import { RecordingMetrics } from "./recording-metrics.ts";
import { FakeClock, named } from "./testkit.ts";

/** Picks the best total; the first of the list among equals. */
export const bestPicker: NamedPlugin<Picker> = named(
  {
    pick: (_request, endpoints, totals) => {
      let best = 0;
      for (let i = 1; i < endpoints.length; i++) if (totals[i]! > totals[best]!) best = i;
      return [endpoints[best]!];
    },
  },
  "best-picker",
);

/** Runs all profiles at once; the first one is the primary and decides about success. */
export const allProfiles: NamedPlugin<ProfileHandler> = named(
  {
    pickProfiles: (_request, profiles, results) => (results.size === 0 ? profiles : []),
    processResults: (_request, results) => {
      const [first] = results;
      if (first === undefined) return new RequestError("Internal", "no results");
      const [primaryProfile, primary] = first;
      if (primary instanceof RequestError) return primary;
      const profiles = [...results].flatMap(([name, result]) =>
        result instanceof RequestError ? [] : [[name, result] as const],
      );
      return { primaryProfile, profiles: new Map(profiles) };
    },
  },
  "all-profiles-handler",
);

export interface BuiltScheduler {
  readonly scheduler: Scheduler;
  readonly metrics: RecordingMetrics;
  readonly logger: RecordingLogger;
  readonly clock: FakeClock;
}

/** A scheduler whose metrics, log and clock the test holds. A profile without a picker takes the best total. */
export function buildScheduler(
  profiles: readonly Partial<SchedulingProfile>[],
  profileHandler: NamedPlugin<ProfileHandler> = allProfiles,
): BuiltScheduler {
  const metrics = new RecordingMetrics();
  const logger = new RecordingLogger();
  const clock = new FakeClock();
  const scheduler = new Scheduler({
    profiles: profiles.map((profile) => ({
      name: "default",
      filters: [],
      scorers: [],
      picker: bestPicker,
      ...profile,
    })),
    profileHandler,
    calls: new PluginCalls(metrics, logger),
    clock,
    metrics,
  });
  return { scheduler, metrics, logger, clock };
}
