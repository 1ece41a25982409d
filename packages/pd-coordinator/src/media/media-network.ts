import { lookup } from "node:dns/promises";
import { isPublicAddress } from "./address-guard.ts";

/** The network that images come from. */
export interface MediaNetwork {
  /** Addresses of a host name. Rejects when there are none. */
  resolve(host: string): Promise<readonly string[]>;
  /** Tells whether a connection to an address may be used. */
  mayReach(address: string, allowPrivate: boolean): boolean;
}

export const internet: MediaNetwork = {
  resolve: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
  mayReach: isPublicAddress,
};
