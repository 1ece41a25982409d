import { isIP } from "node:net";
import { asList, asRecord, asText, asTexts, type JsonRecord } from "./json-value.ts";

/** What the picker uses of a pod. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  /** Tells a pod from an earlier one of the same name. */
  readonly uid: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** `undefined`: it has none yet. */
  readonly address: string | undefined;
  readonly nodeAddress: string | undefined;
  readonly phase: string | undefined;
  /** Status of the first condition of type `Ready`. */
  readonly ready: string | undefined;
  /** Somebody deletes it. */
  readonly terminating: boolean;
  /** The annotation that says which target ports serve; `undefined` when all do. */
  readonly activePorts: string | undefined;
}

const activePortsAnnotation = "llm-d.ai/active-ports";
const formerActivePortsAnnotation = "inference.networking.k8s.io/active-ports";

/** Reads what is used of a pod. Anything that is not as it should be counts as missing. */
export function readPod(object: JsonRecord): Pod {
  const metadata = asRecord(object["metadata"]);
  const status = asRecord(object["status"]);
  const annotations = asTexts(metadata["annotations"]);
  const ready = asList(status["conditions"]).find((condition) => asRecord(condition)["type"] === "Ready");
  return {
    namespace: asText(metadata["namespace"]) ?? "",
    name: asText(metadata["name"]) ?? "",
    uid: asText(metadata["uid"]),
    labels: asTexts(metadata["labels"]),
    address: asAddress(status["podIP"]),
    nodeAddress: asAddress(status["hostIP"]),
    phase: asText(status["phase"]),
    ready: asText(asRecord(ready)["status"]),
    terminating: asText(metadata["deletionTimestamp"]) !== undefined,
    activePorts: annotations[activePortsAnnotation] ?? annotations[formerActivePortsAnnotation],
  };
}

function asAddress(value: unknown): string | undefined {
  const text = asText(value);
  return text !== undefined && isIP(text) !== 0 ? text : undefined;
}
