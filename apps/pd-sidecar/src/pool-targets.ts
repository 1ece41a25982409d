import { createTimers, systemClock } from "@pointsman/core";
import { ApiClient, findAccess, PoolHosts } from "@pointsman/kube";
import type { PoolTargets } from "@pointsman/pd-sidecar";
import type { PrometheusMetrics } from "@pointsman/telemetry";

/** Follows InferencePools through the API server that the environment names: a kubeconfig, or the pod's service account. */
export function kubernetesPoolTargets(
  environment: Readonly<Record<string, string | undefined>>,
  metrics: PrometheusMetrics,
): PoolTargets {
  return {
    async open(pool, parentLogger) {
      const logger = parentLogger.child({ component: "kubernetes" });
      const access = await findAccess(environment, systemClock);
      const client = new ApiClient(access, "pointsman-pd-sidecar");
      const timers = createTimers("kubernetes", logger);
      logger.info({ server: client.server, credentials: client.origin, ...pool }, "following the inference pool");
      const hosts = new PoolHosts({
        ...pool,
        client,
        clock: systemClock,
        timers,
        random: Math.random,
        logger,
        metrics,
        metricPrefix: "pd_sidecar",
      });
      metrics.beforePage(() => hosts.updateMetrics());
      hosts.start();
      return {
        listed: hosts.listed,
        missing: () => hosts.missing(),
        wasKnown: () => hosts.wasKnown(),
        has: (host) => hosts.has(host),
        stop() {
          hosts.stop();
          timers.stopAll();
        },
      };
    },
  };
}
