import type { ProblemList } from "./config-problem.ts";
import { listNames, quote } from "./quote.ts";
import type { Stated } from "./stated-config.ts";

/** Gates by name, with their defaults. */
export const featureGateDefaults: ReadonlyMap<string, boolean> = new Map([
  ["flowControl", false],
  ["haPopulateNonLeaderDatastore", true],
]);

const booleans: ReadonlyMap<string, boolean> = new Map([
  ["1", true],
  ["t", true],
  ["true", true],
  ["0", false],
  ["f", false],
  ["false", false],
]);

/** Reads `name` and `name=boolean` entries over the defaults. Of several entries for one gate the last one counts. */
export function readFeatureGates(
  entries: readonly Stated<string>[],
  problems: ProblemList,
): ReadonlyMap<string, boolean> {
  const gates = new Map(featureGateDefaults);
  const stated = new Map<string, Stated<string>>();
  for (const entry of entries) {
    const [name = "", ...rest] = entry.value.split("=");
    const known = listNames(featureGateDefaults.keys());
    if (!featureGateDefaults.has(name)) {
      const nearest = problems.nearest(name, featureGateDefaults.keys());
      problems.add(
        "EPP_CONFIG_UNKNOWN_FEATURE_GATE",
        entry.at,
        `There is no feature gate ${quote(name)}.`,
        `${nearest === undefined ? "" : `Nearest: ${quote(nearest)}. `}Gates: ${known}.`,
      );
      continue;
    }
    const value = rest.length === 0 ? true : booleans.get(rest.join("=").trim().toLowerCase());
    if (value === undefined) {
      problems.add(
        "EPP_CONFIG_UNKNOWN_FEATURE_GATE",
        entry.at,
        `The feature gate ${name} has the value ${quote(rest.join("="))}.`,
        `Allowed: true or false, default ${featureGateDefaults.get(name)}.`,
      );
      continue;
    }
    const earlier = stated.get(name);
    if (earlier !== undefined) {
      problems.add(
        "EPP_CONFIG_IGNORED_FIELD",
        earlier.at,
        `The feature gate ${name} is set again further down, and the last entry counts.`,
        "Keep one entry.",
      );
    }
    stated.set(name, entry);
    gates.set(name, value);
  }
  const flowControl = stated.get("flowControl");
  if (flowControl !== undefined && gates.get("flowControl") === true) {
    problems.add(
      "EPP_CONFIG_UNAVAILABLE",
      flowControl.at,
      "The feature gate flowControl is on, and flow control is not part of this version.",
      "Remove the entry: requests are then admitted by priority and saturation, without queues.",
    );
  }
  return gates;
}
