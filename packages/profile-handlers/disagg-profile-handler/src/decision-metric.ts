import { BoundedValues, type Counter, type PluginHost } from "@pointsman/core";

/** Which stages of a request run on endpoints of their own. */
export type DecisionType = "decode-only" | "prefill-decode" | "encode-decode" | "encode-prefill-decode";

/** Model names come from clients; those beyond are counted under `other`. */
const maxModels = 1000;

/** The type of a decision, as metric label. */
export function decisionType(encodes: boolean, prefills: boolean): DecisionType {
  if (encodes) return prefills ? "encode-prefill-decode" : "encode-decode";
  return prefills ? "prefill-decode" : "decode-only";
}

/** Counts decisions by model and type. */
export function decisionCounter(host: PluginHost): (model: string, type: DecisionType) => void {
  const family = host.metrics.counter({
    name: "llm_d_epp_disagg_decision_total",
    help: "Requests by the stages that run on endpoints of their own.",
    labelNames: ["plugin_name", "plugin_type", "model_name", "decision_type"],
  });
  const models = new BoundedValues(maxModels);
  const bound = new Map<string, Map<DecisionType, Counter>>();
  return (model, type) => {
    const name = models.bound(model === "" ? "unknown" : model);
    let counters = bound.get(name);
    if (counters === undefined) {
      counters = new Map();
      bound.set(name, counters);
    }
    let counter = counters.get(type);
    if (counter === undefined) {
      counter = family.labels(host.name, host.type, name, type);
      counters.set(type, counter);
    }
    counter.inc();
  };
}
