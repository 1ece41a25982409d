import { EppBug } from "@pointsman/core";

/** Splits `host:port`, with or without brackets around an IPv6 address. The host comes without brackets. */
export function metricsAddress(hostAndPort: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(hostAndPort);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port < 1 || port > 65_535) {
    throw new EppBug(`the endpoint's metrics address ${JSON.stringify(hostAndPort.slice(0, 300))} is not host:port`);
  }
  return { host, port };
}
