import type { Endpoint, Logger, PluginHost, PollingSource } from "@pointsman/core";
import type { HttpSourceParams } from "./http-source-params.ts";
import { metricsAddress } from "./metrics-address.ts";
import { readTlsFiles } from "./tls-files.ts";

const minIntervalMs = 50;

/** What a source of HTTP pages says of its pages. */
export interface HttpPages {
  readonly payload: string;
  readonly maxBodyBytes: number;
  checkPayload(body: Uint8Array): string | undefined;
}

/**
 * A source that polls one page of each endpoint over HTTP. Throws where a certificate cannot be used. Warns of
 * parameters that others keep from having an effect.
 */
export function httpSource(params: HttpSourceParams, pages: HttpPages, host: PluginHost): PollingSource {
  warnOfIdleParameters(params, host.logger);
  const { scheme, path } = params;
  const tls = scheme === "https" ? readTlsFiles(params, host.baseDirectory) : undefined;
  const intervalMs = params.intervalMs === undefined ? undefined : Math.max(minIntervalMs, params.intervalMs);
  return {
    ...pages,
    ...(intervalMs === undefined ? {} : { intervalMs }),
    ...(tls === undefined ? {} : { tls }),
    pollTarget: (endpoint) => ({ scheme, path, ...addressOf(endpoint, params) }),
  };
}

function addressOf(
  { metadata }: Endpoint,
  { port, useNodeAddress }: HttpSourceParams,
): { readonly host: string; readonly port: number } {
  if (port === undefined) return metricsAddress(metadata.metricsHost);
  const host = useNodeAddress === true ? metadata.nodeAddress || metadata.address : metadata.address;
  return { host, port };
}

/** Tells of parameters that others keep from having an effect. */
function warnOfIdleParameters(params: HttpSourceParams, logger: Logger): void {
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
