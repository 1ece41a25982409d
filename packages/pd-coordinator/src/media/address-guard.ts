import { BlockList, isIP, isIPv4 } from "node:net";

const v4: readonly (readonly [address: string, bits: number])[] = [
  // This network, loopback, link-local, shared addresses of carriers.
  ["0.0.0.0", 8],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["100.64.0.0", 10],
  // Protocol assignments, benchmarks, multicast, reserved, broadcast.
  ["192.0.0.0", 24],
  ["198.18.0.0", 15],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];
const privateV4: readonly (readonly [address: string, bits: number])[] = [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
];
const v6: readonly (readonly [address: string, bits: number])[] = [
  // Unspecified, loopback, and IPv4 in its old notation.
  ["::", 96],
  // Discard, Teredo and other assignments, unique local, link-local, site-local, multicast.
  ["100::", 64],
  ["2001::", 23],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
  // Local translation to IPv4.
  ["64:ff9b:1::", 48],
];

const always = new BlockList();
const unlessPrivate = new BlockList();
for (const [address, bits] of v4) always.addSubnet(address, bits, "ipv4");
for (const [address, bits] of v6) always.addSubnet(address, bits, "ipv6");
for (const [address, bits] of privateV4) unlessPrivate.addSubnet(address, bits, "ipv4");

/**
 * Tells whether an address is one that images may come from: no address of this machine, of its network, or of special
 * use. RFC 1918 addresses with `allowPrivate` only. An IPv4 address inside an IPv6 one counts as itself. False for what
 * is no address.
 */
export function isPublicAddress(address: string, allowPrivate: boolean): boolean {
  const bare = address.split("%", 1)[0]!;
  if (isIP(bare) === 0) return false;
  const inner = isIPv4(bare) ? bare : embeddedIPv4(bare);
  if (inner !== undefined) return !always.check(inner, "ipv4") && (allowPrivate || !unlessPrivate.check(inner, "ipv4"));
  return !always.check(bare, "ipv6");
}

/** The IPv4 address that an IPv6 one stands for: mapped, NAT64, 6to4. */
function embeddedIPv4(address: string): string | undefined {
  const groups = groupsOf(address);
  const startsWith = (...wanted: readonly number[]): boolean => wanted.every((group, i) => groups[i] === group);
  if (startsWith(0, 0, 0, 0, 0, 0xffff) || startsWith(0x64, 0xff9b, 0, 0, 0, 0)) return dotted(groups[6]!, groups[7]!);
  if (startsWith(0x2002)) return dotted(groups[1]!, groups[2]!);
  return undefined;
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const numbers = (text: string): number[] => (text === "" ? [] : text.split(":").map((group) => parseInt(group, 16)));
  const before = numbers(head);
  const after = tail === undefined ? [] : numbers(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
