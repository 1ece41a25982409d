import { asList, asRecord, asText, type JsonRecord } from "./json-value.ts";
import { selectorProblem } from "./label-selector.ts";

/** What the picker uses of a pool. */
export interface PoolSpec {
  /** Selector of the pods in the string form of Kubernetes. */
  readonly selector: string;
  /** In the pool's order: the position is the rank. */
  readonly targetPorts: readonly number[];
  /** `undefined`: the pool does not say. */
  readonly appProtocol: string | undefined;
}

const maxTargetPorts = 64;

/** The group in which pools are of version v1alpha2, with a flat selector and one target port. */
const formerGroup = "inference.networking.x-k8s.io";

/** Version of InferencePools in an API group. */
export function poolVersion(group: string): string {
  return group === formerGroup ? "v1alpha2" : "v1";
}

/** Reads an InferencePool. Returns what is wrong with it as a text, `deleted` when somebody deletes it. */
export function readInferencePool(
  object: JsonRecord,
  group: string,
): PoolSpec | "deleted" | { readonly problem: string } {
  if (asText(asRecord(object["metadata"])["deletionTimestamp"]) !== undefined) return "deleted";
  const spec = asRecord(object["spec"]);
  const former = group === formerGroup;
  const [selectorPath, portsPath] = former
    ? ["spec.selector", "spec.targetPortNumber"]
    : ["spec.selector.matchLabels", "spec.targetPorts"];
  const labels = Object.entries(asRecord(former ? spec["selector"] : asRecord(spec["selector"])["matchLabels"]));
  if (labels.length === 0) return { problem: `${selectorPath} is empty, which would select every pod` };
  // Left out, a label would make the selector wider.
  for (const [key, value] of labels) {
    if (typeof value !== "string" || selectorProblem(`${key}=${value}`) !== undefined || /[,=!\s]/.test(key + value)) {
      return { problem: `${selectorPath} has ${JSON.stringify({ [key]: value }).slice(0, 300)}, which is no label` };
    }
  }
  const listed = former ? [{ number: spec["targetPortNumber"] }] : asList(spec["targetPorts"]);
  const targetPorts = listed.slice(0, maxTargetPorts).map((port) => asRecord(port)["number"]);
  if (targetPorts.length === 0) return { problem: `${portsPath} is empty` };
  const wrong = targetPorts.find((port) => !isPort(port));
  if (wrong !== undefined || !targetPorts.every(isPort)) {
    return { problem: `${portsPath} has ${JSON.stringify(wrong)}, which is no port number` };
  }
  const selector = labels
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(",");
  return { selector, targetPorts: [...new Set(targetPorts)], appProtocol: asText(spec["appProtocol"]) };
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value < 65536;
}
