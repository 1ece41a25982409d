import {
  type AnyPluginDefinition,
  type AttributeType,
  defineAttribute,
  definePlugin,
  IN_FLIGHT_LOAD,
  PREFIX_MATCH,
  prefillTarget,
  slotTableLength,
  TOKENIZED_PROMPT,
  UNCACHED_REQUEST_TOKENS,
  zeroedFloat64,
} from "@pointsman/core";
import { EndpointLoads, type Reservation } from "./endpoint-loads.ts";
import { type InflightLoadParams, inflightLoadParams } from "./params.ts";
import { estimatedOutputTokens, uncachedTokens } from "./request-tokens.ts";

/** What a request holds on endpoints, kept on it from its decision to the end of its answer. */
const RESERVATIONS: AttributeType<readonly Reservation[]> = defineAttribute({
  dataType: "InFlightReservations",
  scope: "request",
  defaultProducer: "inflight-load-producer",
});

export const inflightLoadProducer: AnyPluginDefinition = definePlugin<InflightLoadParams>({
  type: "inflight-load-producer",
  kind: "producer",
  stability: "beta",
  summary: "Produces the requests and tokens in flight on each endpoint, and the prompt tokens each would compute.",
  params: inflightLoadParams,
  consumes: ({ prefixMatchInfoProducerName }) => ({
    required: [TOKENIZED_PROMPT.from()],
    optional: [PREFIX_MATCH.from(prefixMatchInfoProducerName)],
  }),
  produces: (_params, name) => [IN_FLIGHT_LOAD.from(name), UNCACHED_REQUEST_TOKENS.from(name), RESERVATIONS.from(name)],
  readsBody: ["request", "response"],
  create(params, host) {
    const prompts = host.requestReader(TOKENIZED_PROMPT.from());
    const matches = host.requestReader(PREFIX_MATCH.from(params.prefixMatchInfoProducerName));
    const writeUncached = host.requestWriter(UNCACHED_REQUEST_TOKENS.from(host.name));
    const writeReservations = host.requestWriter(RESERVATIONS.from(host.name));
    const readReservations = host.requestReader(RESERVATIONS.from(host.name));
    const loads = new EndpointLoads(host);

    return {
      produce(request, endpoints) {
        const promptTokens = prompts.get(request)?.totalTokens ?? 0;
        const match = matches.get(request);
        const uncached = zeroedFloat64(slotTableLength(endpoints)).fill(Number.NaN);
        for (let i = 0; i < endpoints.length; i++) {
          const { slot } = endpoints[i]!;
          uncached[slot] = uncachedTokens(promptTokens, match, slot);
        }
        writeUncached.set(request, uncached);
      },

      preRequest(request, result) {
        for (const earlier of readReservations.get(request) ?? []) loads.release(earlier);
        const promptTokens = prompts.get(request)?.totalTokens ?? 0;
        const match = matches.get(request);
        const outputTokens = estimatedOutputTokens(promptTokens, request.body.maxOutputTokens, params);
        const reservations: Reservation[] = [];
        for (const [profile, { targets }] of result.profiles) {
          const target = targets[0];
          if (target === undefined) continue;
          const tokens = uncachedTokens(promptTokens, match, target.slot) + outputTokens;
          reservations.push(loads.reserve(profile, target, tokens, request.fairnessId, request.priority));
        }
        writeReservations.set(request, reservations);
        // Of use until the decision only, and an answer may take long.
        writeUncached.set(request, undefined);
        return undefined;
      },

      responseBody(request, result, { startOfStream, endOfStream }) {
        const reservations = readReservations.get(request);
        if (reservations === undefined) return;
        if (endOfStream) {
          writeReservations.set(request, undefined);
          for (const reservation of reservations) loads.release(reservation);
          return;
        }
        if (!startOfStream) return;
        // The answer has begun: the prompt is computed, and whoever prefilled it is done.
        const prefill = prefillTarget(result);
        const prefilled = reservations.find(
          ({ profile, load }) => profile !== result.primaryProfile && load.endpoint === prefill,
        );
        if (prefilled !== undefined) loads.release(prefilled);
        if (params.addEstimatedOutputTokens) return;
        for (const reservation of reservations) loads.releaseTokens(reservation);
      },

      endpointChanged: (event) => loads.endpointChanged(event),

      dumpState: () => loads.dump(),
    };
  },
});
