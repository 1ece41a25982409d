import type { ConfigNode, MapEntry } from "./config-node.ts";
import type { ProblemList } from "./config-problem.ts";
import type { FieldReader } from "./field-reader.ts";
import { listNames } from "./quote.ts";
import type { Stated } from "./stated-config.ts";

const bandFields = ["priority", "maxBytes", "maxRequests", "fairnessPolicyRef", "orderingPolicyRef"];

/**
 * Checks the `flowControl` section and returns its saturation detector. Without the feature gate the other fields do
 * nothing, which is said; with it the configuration cannot be honoured, which is an error.
 */
export function checkFlowControl(
  entry: MapEntry | undefined,
  gates: ReadonlyMap<string, boolean>,
  read: FieldReader,
  problems: ProblemList,
): Stated<string> | undefined {
  if (entry === undefined) return undefined;
  const fields = read.fields(entry.value, [
    "maxBytes",
    "maxRequests",
    "defaultRequestTTL",
    "noEndpointRequestTTL",
    "priorityBands",
    "defaultPriorityBand",
    "defaultNegativePriorityBand",
    "usageLimitPolicyPluginRef",
    "saturationDetector",
    "enableEviction",
  ]);
  if (fields === undefined) return undefined;
  read.checkQuantity(fields.get("maxBytes"), "bytes", "unlimited");
  read.checkQuantity(fields.get("maxRequests"), "requests", "unlimited");
  read.checkDuration(fields.get("defaultRequestTTL"), "60s");
  read.checkDuration(fields.get("noEndpointRequestTTL"), "that of defaultRequestTTL");
  read.string(fields.get("usageLimitPolicyPluginRef"));
  read.boolean(fields.get("enableEviction"));
  const priorities = new Set<number>();
  for (const node of read.list(fields.get("priorityBands"))) checkBand(node, read, problems, priorities);
  for (const name of ["defaultPriorityBand", "defaultNegativePriorityBand"]) {
    const band = fields.get(name);
    if (band !== undefined) checkBand(band.value, read, problems, undefined);
  }

  const ignored = [...fields.keys()].filter((name) => name !== "saturationDetector");
  if (gates.get("flowControl") !== true && ignored.length > 0) {
    problems.add(
      "EPP_CONFIG_IGNORED_FIELD",
      entry.keyAt,
      `In flowControl, ${listNames(ignored)} ${ignored.length === 1 ? "has" : "have"} no effect: the feature gate flowControl is off.`,
      "Remove what is not used. Flow control is not part of this version.",
    );
  }
  const detector = fields.get("saturationDetector");
  const detectorFields = detector === undefined ? undefined : read.fields(detector.value, ["pluginRef"]);
  const ref = read.string(detectorFields?.get("pluginRef"));
  return ref === undefined || ref.value === "" ? undefined : ref;
}

function checkBand(
  node: ConfigNode,
  read: FieldReader,
  problems: ProblemList,
  priorities: Set<number> | undefined,
): void {
  const fields = read.fields(node, bandFields);
  if (fields === undefined) return;
  read.checkQuantity(fields.get("maxBytes"), "bytes", "1G");
  read.checkQuantity(fields.get("maxRequests"), "requests", "5000");
  read.string(fields.get("fairnessPolicyRef"));
  read.string(fields.get("orderingPolicyRef"));
  const stated = read.integer(fields.get("priority"));
  // A value that was reported says no priority.
  if (stated === undefined && fields.has("priority")) return;
  const priority = stated?.value ?? 0;
  if (priorities?.has(priority) === true) {
    problems.add(
      "EPP_CONFIG_BAD_VALUE",
      stated?.at ?? node.at,
      `The priority ${priority} has a band further up.`,
      "Give each band its own priority; without one it is 0.",
    );
  }
  priorities?.add(priority);
}
