import type { Logger } from "@pointsman/core";
import type { CoordinatorTracing } from "@pointsman/pd-coordinator";
import { startCallTracing } from "@pointsman/tracing";

const service = "llm-d-coordinator";
const scope = "llm-d-router/pkg/coordinator";

/**
 * Exports spans of requests and their calls as the environment says. Missing values: undefined when it asks for no
 * exporter. Rejects with `EPP_TRACING` when the exporter cannot be made.
 */
export async function startCoordinatorTracing(
  environment: Readonly<Record<string, string | undefined>>,
  version: string,
  logger: Logger,
): Promise<CoordinatorTracing | undefined> {
  const calls = await startCallTracing({ environment, service, scope, version, logger });
  if (calls === undefined) return undefined;
  return {
    begin: (request) =>
      calls.begin(`llm_d.coordinator.${request.method} ${request.path}`, (name) => request.values(name), {
        "llm_d.coordinator.request_id": request.requestId,
      }),
    shutdown: () => calls.shutdown(),
  };
}
