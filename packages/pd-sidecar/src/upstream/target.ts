import { isIPv4, isIPv6 } from "node:net";

/** A server to connect to. Only what `parseTarget` accepted becomes one, so that what was checked is what is dialled. */
export interface Target {
  /** A name or an address in lower case; IPv6 in its canonical form, without brackets. */
  readonly host: string;
  readonly port: number;
  /** `host:port`, IPv6 in brackets. */
  readonly hostPort: string;
}

const longestText = 512;
const shape = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?)):([0-9]{1,5})$/;

export function makeTarget(host: string, port: number): Target {
  return { host, port, hostPort: isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}` };
}

/**
 * Reads `host:port`, with blanks around it and one leading `http://` or `https://` ignored; the scheme of a connection
 * comes from the configuration. Missing values: undefined for all else, such as user info, a path, no port, a port beyond
 * 1 to 65535, or a number that is no dotted IPv4 address.
 */
export function parseTarget(text: string): Target | undefined {
  if (text.length > longestText) return undefined;
  const found = shape.exec(
    text
      .trim()
      .toLowerCase()
      .replace(/^https?:\/\//, ""),
  );
  if (found === null) return undefined;
  const [, bracketed, name, portText] = found;
  const port = Number(portText);
  if (port < 1 || port > 65_535) return undefined;
  if (bracketed !== undefined) {
    return isIPv6(bracketed) ? makeTarget(canonicalIPv6(bracketed), port) : undefined;
  }
  const host = name!;
  // What resolvers read as an address in another notation: 127.1, 0x7f000001, 2130706433.
  const lastLabel = host.slice(host.lastIndexOf(".") + 1);
  if (/^(?:[0-9]+|0x[0-9a-f]*)$/.test(lastLabel) && !isIPv4(host)) return undefined;
  if (host.includes("..")) return undefined;
  return makeTarget(host, port);
}

function canonicalIPv6(address: string): string {
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}
