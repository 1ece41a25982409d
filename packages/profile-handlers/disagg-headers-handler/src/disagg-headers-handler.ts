import { type AnyPluginDefinition, definePlugin, wireNames } from "@pointsman/core";
import { type DisaggHeadersHandlerParams, disaggHeadersHandlerParams } from "./params.ts";

export const disaggHeadersHandler: AnyPluginDefinition = definePlugin<DisaggHeadersHandlerParams>({
  type: "disagg-headers-handler",
  aliases: ["prefill-header-handler"],
  kind: "profile-handler",
  stability: "beta",
  summary: "Names the prefill and encode endpoints that another handler chose in request headers.",
  params: disaggHeadersHandlerParams,
  create({ prefillProfile, encodeProfile }, host) {
    host.logger.warn({}, "disagg-headers-handler is deprecated: disagg-profile-handler sets the headers itself");
    return {
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
    };
  },
});
