import { isIP } from "node:net";

const maxHostChars = 253;
const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** Says what is wrong with an IP address or host name; `undefined` when it is one. */
export function hostProblem(host: string): string | undefined {
  if (host.startsWith("[") && host.endsWith("]") && isIP(host.slice(1, -1)) === 6) {
    return "stands in brackets; write the IPv6 address without them";
  }
  if (host.includes("%")) return "has a zone; write an address without one";
  if (isIP(host) !== 0) return undefined;
  const labels = (host.endsWith(".") ? host.slice(0, -1) : host).split(".");
  const isName = host.length <= maxHostChars && labels.every((part) => label.test(part));
  // A name that ends in a number would be taken for an IPv4 address by whatever connects to it.
  if (!isName || /^(\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? "")) return "is neither an IP address nor a host name";
  return undefined;
}
