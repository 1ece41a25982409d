import type { PluginGraph } from "@pointsman/config";
import { hasRole, TOKENIZED_PROMPT } from "@pointsman/core";

/** Who makes the picker do work for each request. An empty list: the work is not done. */
export interface RequestWork {
  /** Reasons to parse request bodies. */
  readonly body: readonly string[];
  /** Reasons to see every answer. One whose request had its model renamed is seen in any case. */
  readonly response: readonly string[];
}

export interface RequestWorkOptions {
  /** Metrics of requests count as a reason: model labels come from the body; duration, running, TTFT and tokens from the answer. */
  readonly requestMetrics: boolean;
  /** There are rules that rewrite model names. */
  readonly rewrites: boolean;
  /** Requests in flight can be evicted, for which the proxy must go on asking about them. */
  readonly eviction: boolean;
}

/** Finds what a configuration makes the picker do for each request, and why. */
export function requestWork(graph: PluginGraph, options: RequestWorkOptions): RequestWork {
  const body: string[] = [];
  const response: string[] = [];
  for (const { name, type, instance } of graph.plugins) {
    const label = name === type ? name : `${name} (${type})`;
    const definition = graph.definitions.get(name);
    // A parser reads for others: alone it is no reason.
    if (definition?.kind === "parser") continue;
    if (definition?.readsBody?.includes("request") === true) body.push(label);
    const reads =
      hasRole(instance, "responseHeaderProcessor") ||
      hasRole(instance, "responseBodyProcessor") ||
      definition?.readsBody?.includes("response") === true;
    if (reads) response.push(label);
  }
  const prompts = graph.consumed.find(({ dataType }) => dataType === TOKENIZED_PROMPT.dataType);
  if (prompts !== undefined && body.length === 0) body.push(`readers of ${prompts.id}`);
  if (options.rewrites) body.push("model rewrite rules");
  if (options.eviction) response.push("eviction of requests in flight");
  if (options.requestMetrics) {
    body.push("request metrics (labels model_name and target_model_name; --request-metrics=false)");
    response.push("request metrics (duration, running, TTFT, tokens; --request-metrics=false)");
  }
  return { body, response };
}
