import {
  type AnyPluginDefinition,
  BoundedValues,
  definePlugin,
  hasRole,
  type ProfileResults,
  RequestError,
  type SchedulingResult,
  wireNames,
} from "@pointsman/core";
import { type PdProfileHandlerParams, pdProfileHandlerParams } from "./params.ts";

const nothingToRun: readonly string[] = [];
/** Model names come from clients; those beyond are counted under `other`. */
const maxModels = 1000;

/**
 * The decision: decode is where the request goes, with prefill if that found an endpoint.
 *
 * With a primary port the first decode target alone is kept: the header names one rank, and a sidecar elsewhere refuses
 * it.
 */
export function decisionOf(
  results: ProfileResults,
  { decodeProfile, prefillProfile, primaryPort }: PdProfileHandlerParams,
): SchedulingResult | RequestError {
  const decode = results.get(decodeProfile);
  const none = "failed to find available decode workers";
  if (decode === undefined) return new RequestError("ResourceExhausted", none);
  if (decode instanceof RequestError) return new RequestError(decode.code, `${none}: ${decode.message}`, decode.reason);
  const chosen = primaryPort === undefined ? decode : { ...decode, targets: decode.targets.slice(0, 1) };
  const profiles = new Map([[decodeProfile, chosen]]);
  const prefill = results.get(prefillProfile);
  if (prefill !== undefined && !(prefill instanceof RequestError)) profiles.set(prefillProfile, prefill);
  return {
    primaryProfile: decodeProfile,
    prefillProfile,
    profiles,
    ...(primaryPort === undefined ? {} : { destinationPort: primaryPort }),
  };
}

export const pdProfileHandler: AnyPluginDefinition = definePlugin<PdProfileHandlerParams>({
  type: "pd-profile-handler",
  kind: "profile-handler",
  stability: "beta",
  summary: "Chooses a decode endpoint and, where its decider says so, one for prefill; use disagg-profile-handler.",
  params: pdProfileHandlerParams,
  references: ({ deciderPluginName }) => [{ path: ["deciderPluginName"], name: deciderPluginName }],
  create(params, host) {
    const { decodeProfile, prefillProfile, deciderPluginName, primaryPort } = params;
    host.logger.warn({}, "pd-profile-handler is deprecated: use disagg-profile-handler");
    const decider = host.plugin(deciderPluginName);
    if (decider === undefined) throw new Error(`deciderPluginName: there is no plugin "${deciderPluginName}"`);
    if (!hasRole(decider, "disaggregationDecider")) {
      throw new Error(`deciderPluginName: plugin "${deciderPluginName}" is no decider`);
    }
    const models = new BoundedValues(maxModels);
    const decisions = host.metrics.counter({
      name: "llm_d_epp_pd_decision_total",
      help: "Requests by whether prefill runs on an endpoint of its own.",
      labelNames: ["plugin_name", "plugin_type", "model_name", "decision_type"],
    });
    return {
      pickProfiles(request, profiles, results) {
        if (!results.has(decodeProfile)) return profiles.includes(decodeProfile) ? [decodeProfile] : nothingToRun;
        const decode = results.get(decodeProfile);
        if (decode === undefined || decode instanceof RequestError || results.has(prefillProfile)) return nothingToRun;
        if (!profiles.includes(prefillProfile)) return nothingToRun;
        return decider.disaggregate(request, decode.targets[0]) ? [prefillProfile] : nothingToRun;
      },
      processResults(request, results) {
        const decision = decisionOf(results, params);
        if (!(decision instanceof RequestError)) {
          const model = models.bound(request.targetModel === "" ? "unknown" : request.targetModel);
          const type = decision.profiles.has(prefillProfile) ? "prefill-decode" : "decode-only";
          decisions.labels(host.name, host.type, model, type).inc();
        }
        return decision;
      },
      preRequest(request, { profiles }) {
        const decode = profiles.get(decodeProfile)?.targets[0];
        if (primaryPort !== undefined && decode !== undefined) {
          request.upstreamHeaders.set(wireNames.dataParallelHostPort, decode.hostPort);
        }
        const prefill = profiles.get(prefillProfile)?.targets[0];
        if (prefill !== undefined) request.upstreamHeaders.set(wireNames.prefillHostPort, prefill.hostPort);
        return undefined;
      },
      checkProfiles(profiles) {
        if (profiles.includes(decodeProfile)) return undefined;
        const found = profiles.length === 0 ? "there is none" : `there are: ${profiles.join(", ")}`;
        return `pd-profile-handler needs a scheduling profile called ${decodeProfile}; ${found}`;
      },
    };
  },
});
