import {
  type AnyPluginDefinition,
  definePlugin,
  type Endpoint,
  type InferenceRequest,
  type KubernetesEvent,
  type PluginHost,
  type PluginInstance,
  type ResponseHeadersEvent,
  type SchedulingResult,
} from "@pointsman/core";
import { type LabelSelector, parseLabelSelector } from "./label-selector.ts";
import { type HeaderSelector, type RolloutScreenerParams, rolloutScreenerParams } from "./params.ts";
import { labelOf, ReadyPods } from "./ready-pods.ts";
import { RevisionGate } from "./revision-gate.ts";

/** Keeps endpoints that carry the value each strict header asks for; counts headers that leave none. */
function strictScreen(
  host: PluginHost,
  selectors: readonly HeaderSelector[],
): (request: InferenceRequest, endpoints: readonly Endpoint[]) => readonly Endpoint[] {
  const noMatch = host.metrics.counter({
    name: "llm_d_epp_disaggregatedset_strict_header_no_match_total",
    help: "Requests with a strict header that no endpoint matches.",
    labelNames: ["plugin_type", "plugin_name", "selector"],
  });
  const strict = selectors
    .filter(({ mode }) => mode === "strict")
    .map((selector) => ({ ...selector, noMatch: noMatch.labels(host.type, host.name, selector.name) }));
  return (request, endpoints) => {
    let kept = endpoints;
    for (const { headerName, labelKey, noMatch: counter } of strict) {
      const wanted = request.headers.get(headerName) ?? "";
      if (wanted === "" || kept.length === 0) continue;
      kept = kept.filter(({ metadata }) => labelOf(metadata.labels, labelKey) === wanted);
      if (kept.length === 0) counter.inc();
    }
    return kept;
  };
}

/** The endpoint that serves: the target the proxy names, else the first. */
function servingEndpoint(result: SchedulingResult, servedBy: string | undefined): Endpoint | undefined {
  const targets = result.profiles.get(result.primaryProfile)?.targets ?? [];
  return targets.find(({ hostPort }) => hostPort === servedBy) ?? targets[0];
}

/** Tells the client the labels of the endpoint that serves, for it to send them with the next phase's request. */
function stampHeaders(
  selectors: readonly HeaderSelector[],
): (request: InferenceRequest, result: SchedulingResult, event: ResponseHeadersEvent) => void {
  return (_request, result, event) => {
    const endpoint = servingEndpoint(result, event.servedBy);
    if (endpoint === undefined) return;
    for (const { headerName, labelKey } of selectors) {
      const value = labelOf(endpoint.metadata.labels, labelKey);
      if (value !== "") event.setHeaders.set(headerName, value);
    }
  };
}

function scopeOf(text: string): LabelSelector {
  const scope = parseLabelSelector(text);
  if (typeof scope === "string") throw new Error(`scope.labelSelector ${scope}`);
  return scope;
}

export const disaggregatedsetRolloutScreener: AnyPluginDefinition = definePlugin<RolloutScreenerParams>({
  type: "disaggregatedset-rollout-screener",
  kind: "screener",
  stability: "alpha",
  summary: "Keeps a request on one revision of a DisaggregatedSet that has all its roles.",
  params: rolloutScreenerParams,
  create({ scope, headerSelectors, gating }, host): PluginInstance {
    const strict = strictScreen(host, headerSelectors);
    const responseHeaders = stampHeaders(headerSelectors);
    const { mode, revisionLabelKey, roleLabelKey, requiredRoles } = gating;
    if (mode === "disabled") return { screen: strict, responseHeaders };

    const pods = new ReadyPods({ scope: scopeOf(scope), revisionLabelKey, roleLabelKey });
    const gate = new RevisionGate(host, { mode, revisionLabelKey, requiredRoles });
    let synced = false;
    const take = (event: KubernetesEvent): boolean => {
      if (event.type === "addOrUpdate") return pods.update(event.object);
      if (event.type === "delete") return pods.remove(event.namespace, event.name);
      synced = true;
      return true;
    };
    return {
      screen: (request, endpoints) => gate.drawOne(strict(request, gate.keepCovered(endpoints))),
      responseHeaders,
      watchedResource: () => ({ group: "", version: "v1", kind: "Pod", plural: "pods", labelSelector: scope }),
      resourceChanged(event) {
        // Of a list that is not complete, no share can be told.
        if (take(event) && synced) gate.recount(pods.counts);
      },
      notReady: () =>
        synced
          ? undefined
          : `Kubernetes has not told of the Pods "${scope}" yet; without a source of Kubernetes objects no revision is let through`,
      dumpState: () => ({ synced, ...gate.dump(pods.counts) }),
      dispose: () => gate.dispose(),
    };
  },
});
