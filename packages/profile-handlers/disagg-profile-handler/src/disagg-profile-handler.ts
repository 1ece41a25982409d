import {
  type AnyPluginDefinition,
  type DisaggregationDecider,
  definePlugin,
  errorText,
  hasRole,
  PEER_ENDPOINT,
  type PluginHost,
  RequestError,
  wireNames,
} from "@pointsman/core";
import { decisionCounter, decisionType } from "./decision-metric.ts";
import { type DeciderReference, type DisaggProfileHandlerParams, disaggProfileHandlerParams } from "./params.ts";
import { decisionOf, foundIn, nextStage, type Stages } from "./stages.ts";

/** The decider a parameter names. One that throws counts as saying no; the first time is logged as an error. */
function deciderOf(host: PluginHost, reference: DeciderReference | undefined): DisaggregationDecider | undefined {
  if (reference === undefined) return undefined;
  const { name } = reference;
  const at = reference.path.join(".");
  const plugin = host.plugin(name);
  if (plugin === undefined) throw new Error(`${at}: there is no plugin "${name}"`);
  if (!hasRole(plugin, "disaggregationDecider")) throw new Error(`${at}: plugin "${name}" is no decider`);
  let reported = false;
  return {
    disaggregate(request, target) {
      try {
        return plugin.disaggregate(request, target);
      } catch (thrown: unknown) {
        const fields = { decider: name, problem: errorText(thrown) };
        if (reported) host.logger.debug(fields, "decider failed; its stage does not run");
        else host.logger.error(fields, "decider failed; its stage does not run; repeats are logged at debug level");
        reported = true;
        return false;
      }
    },
  };
}

/** What of the configuration never has an effect, one sentence each. */
export function uselessParts(params: DisaggProfileHandlerParams, profiles: readonly string[]): readonly string[] {
  const { stageOrder, decodeProfile, prefillProfile, encodeProfile, prefillDecider, encodeDecider } = params;
  const useless: string[] = [];
  const stage = (name: string, decider: DeciderReference | undefined, needsDecider: boolean): void => {
    const exists = profiles.includes(name);
    if (exists && needsDecider && decider === undefined) useless.push(`profile ${name} never runs: it has no decider`);
    if (!exists && decider !== undefined) {
      useless.push(`decider ${decider.name} is never asked: there is no profile ${name}`);
    }
  };
  stage(prefillProfile, prefillDecider, stageOrder === "decode-first");
  stage(encodeProfile, encodeDecider, true);
  const stages = [decodeProfile, prefillProfile, encodeProfile];
  for (const name of profiles) if (!stages.includes(name)) useless.push(`profile ${name} never runs: it is no stage`);
  return useless;
}

export const disaggProfileHandler: AnyPluginDefinition = definePlugin<DisaggProfileHandlerParams>({
  type: "disagg-profile-handler",
  kind: "profile-handler",
  stability: "beta",
  summary: "Chooses a decode endpoint and, where deciders say so, endpoints for prefill and encoding.",
  params: disaggProfileHandlerParams,
  produces: () => [PEER_ENDPOINT],
  references: ({ prefillDecider, encodeDecider }) =>
    [prefillDecider, encodeDecider].filter((reference) => reference !== undefined),
  create(params, host) {
    const peer = host.requestWriter(PEER_ENDPOINT);
    const stages: Stages = {
      ...params,
      prefillDecider: deciderOf(host, params.prefillDecider),
      encodeDecider: deciderOf(host, params.encodeDecider),
      setPeer: (request, endpoint) => peer.set(request, endpoint),
    };
    const { decodeProfile, prefillProfile, encodeProfile } = params;
    const count = decisionCounter(host);
    return {
      pickProfiles: (request, profiles, results) => nextStage(stages, request, profiles, results),
      processResults(request, results) {
        const decision = decisionOf(stages, results);
        if (!(decision instanceof RequestError)) {
          const encodes = foundIn(results, encodeProfile) !== undefined;
          const prefills = foundIn(results, prefillProfile) !== undefined;
          count(request.targetModel, decisionType(encodes, prefills));
        }
        return decision;
      },
      preRequest(request, { profiles }) {
        const prefill = profiles.get(prefillProfile)?.targets[0];
        if (prefill !== undefined) request.upstreamHeaders.set(wireNames.prefillHostPort, prefill.hostPort);
        const encoders = profiles.get(encodeProfile)?.targets ?? [];
        if (encoders.length > 0) {
          request.upstreamHeaders.set(
            wireNames.encoderHostPorts,
            encoders.map((encoder) => encoder.hostPort).join(","),
          );
        }
        return undefined;
      },
      checkProfiles(profiles) {
        if (!profiles.includes(decodeProfile)) {
          const found = profiles.length === 0 ? "there is none" : `there are: ${profiles.join(", ")}`;
          return `disagg-profile-handler needs a scheduling profile called ${decodeProfile}; ${found}`;
        }
        for (const problem of uselessParts(params, profiles)) {
          host.logger.warn({ problem }, "part of the configuration has no effect");
        }
        return undefined;
      },
    };
  },
});
