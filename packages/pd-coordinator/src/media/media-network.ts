import type { Cancellation } from "@pointsman/pd-sidecar/shared";
import { isPublicAddress } from "./address-guard.ts";
import { HostLookup } from "./host-lookup.ts";

/** The network that images come from. */
export interface MediaNetwork {
  /** Addresses of a host name. Rejects when there are none. After cancellation nobody waits for them. */
  resolve(host: string, cancellation: Cancellation): Promise<readonly string[]>;
  /** Tells whether a connection to an address may be used. */
  mayReach(address: string, allowPrivate: boolean): boolean;
}

const names = new HostLookup();

export const internet: MediaNetwork = {
  resolve: (host, cancellation) => names.resolve(host, cancellation),
  mayReach: isPublicAddress,
};
