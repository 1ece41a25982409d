import { type AnyPluginDefinition, definePlugin, type Logger } from "@pointsman/core";
import { MetricsQuery } from "@pointsman/core/prometheus";
import { metricsAddress } from "./metrics-address.ts";
import { type MetricsDataSourceParams, metricsDataSourceParams } from "./params.ts";
import { readTlsFiles } from "./tls-files.ts";

/** Pages beyond this are no metrics pages of a model server; one of vLLM has about 32 KiB for each engine. */
const maxBodyBytes = 4 * 1024 * 1024;
const minIntervalMs = 50;
const headBytes = 2048;
const newline = 0x0a;

export const metricsDataSource: AnyPluginDefinition = definePlugin<MetricsDataSourceParams>({
  type: "metrics-data-source",
  kind: "source",
  stability: "beta",
  summary: "Polls the Prometheus page of each model server.",
  params: metricsDataSourceParams,
  create(params, host) {
    warnOfIdleParameters(params, host.logger);
    const { scheme, path, port: fixedPort } = params;
    const tls = scheme === "https" ? readTlsFiles(params, host.baseDirectory) : undefined;
    const intervalMs = params.intervalMs === undefined ? undefined : Math.max(minIntervalMs, params.intervalMs);
    // Without a wanted name a scan only tells whether the bytes are a metrics page.
    const anyPage = new MetricsQuery([]);
    return {
      payload: "prometheus-text",
      maxBodyBytes,
      ...(intervalMs === undefined ? {} : { intervalMs }),
      ...(tls === undefined ? {} : { tls }),
      pollTarget({ metadata }) {
        if (fixedPort !== undefined) return { scheme, host: metadata.address, port: fixedPort, path };
        const { host: address, port } = metricsAddress(metadata.metricsHost);
        return { scheme, host: address, port, path };
      },
      checkPayload(body) {
        // A metrics page shows what it is in its first lines; only a page that does not is looked at as a whole.
        const headEnd = body.subarray(0, headBytes).lastIndexOf(newline) + 1;
        if (headEnd > 0 && anyPage.scan(body.subarray(0, headEnd)).garbage === undefined) return undefined;
        return anyPage.scan(body).garbage;
      },
    };
  },
});

/** Tells of parameters that others keep from having an effect. */
function warnOfIdleParameters(params: MetricsDataSourceParams, logger: Logger): void {
  const { scheme, insecureSkipVerify, caCertPath, clientCertPath, clientKeyPath, intervalMs } = params;
  const files = { caCertPath, clientCertPath, clientKeyPath };
  const given = Object.entries(files).flatMap(([name, path]) => (path === undefined ? [] : [name]));
  if (scheme === "http" && given.length > 0) {
    logger.warn({ parameters: given }, "certificates have no effect with scheme http; set scheme: https to use them");
  }
  if (scheme === "https" && insecureSkipVerify && caCertPath !== undefined) {
    logger.warn(
      { caCertPath },
      "server certificates are not verified: caCertPath has no effect unless insecureSkipVerify is false",
    );
  }
  if (intervalMs !== undefined && intervalMs < minIntervalMs) {
    logger.warn({ intervalMs, usedIntervalMs: minIntervalMs }, "the interval is below the smallest possible one");
  }
}
