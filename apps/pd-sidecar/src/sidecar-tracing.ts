import type { Logger } from "@pointsman/core";
import type { SidecarTracing } from "@pointsman/pd-sidecar";
import { startCallTracing } from "@pointsman/tracing";

const service = "llm-d-disagg-sidecar";
const scope = "llm-d-router/pkg/sidecar/proxy";

/**
 * Exports spans of requests and their stages as the environment says. Missing values: undefined when it asks for no
 * exporter. Rejects with `EPP_TRACING` when the exporter cannot be made.
 */
export async function startSidecarTracing(
  environment: Readonly<Record<string, string | undefined>>,
  version: string,
  logger: Logger,
): Promise<SidecarTracing | undefined> {
  const calls = await startCallTracing({ environment, service, scope, version, logger });
  if (calls === undefined) return undefined;
  return {
    begin: (request) =>
      calls.begin(
        `llm_d.pd_proxy.${request.method} ${request.path}`,
        (name) => request.values(name),
        request.requestId === undefined ? {} : { "llm_d.pd_proxy.request_id": request.requestId },
      ),
    shutdown: () => calls.shutdown(),
  };
}
