import { lookup, Resolver } from "node:dns/promises";
import type { Cancellation } from "@pointsman/pd-sidecar/shared";

export interface HostLookupOptions {
  /** Name servers as `address:port`; those of the system by default. */
  readonly servers?: readonly string[];
  /** The system's own look-up, with its hosts file and search domains. */
  readonly system?: (host: string) => Promise<readonly string[]>;
}

/** Of one try; a name server is tried twice. */
const tryMs = 2000;

/**
 * Looks up host names that clients choose, so that one that never resolves delays nobody else. Name servers are asked
 * first, which holds no thread and ends on cancellation. A name that they do not know may be one of the hosts file or of
 * a search domain: for these the system is asked, one name at a time, because its look-up cannot be ended and holds one of
 * the two threads on which connections to the gateway look up their names too.
 */
export class HostLookup {
  readonly #servers: readonly string[] | undefined;
  readonly #system: (host: string) => Promise<readonly string[]>;
  /** Resolves when the system is not asked for anything. */
  #systemFree: Promise<void> = Promise.resolve();

  constructor(options: HostLookupOptions = {}) {
    this.#servers = options.servers;
    this.#system = options.system ?? systemLookup;
  }

  /** Addresses of a host name, IPv4 first. Rejects when there are none, and on cancellation. */
  async resolve(host: string, cancellation: Cancellation): Promise<readonly string[]> {
    const addresses = await this.#asked(host, cancellation);
    if (addresses.length > 0) return addresses;
    return await this.#inTurn(host, cancellation);
  }

  /** Empty when the name servers do not know the name. Rejects when they do not answer. */
  async #asked(host: string, cancellation: Cancellation): Promise<readonly string[]> {
    const resolver = new Resolver({ timeout: tryMs, tries: 2 });
    if (this.#servers !== undefined) resolver.setServers(this.#servers);
    const asked = Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const release = cancellation.onCancel(() => resolver.cancel());
    const answers = await asked;
    release();
    const addresses = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    if (addresses.length > 0) return addresses;
    for (const answer of answers) if (answer.status === "rejected" && isSilence(answer.reason)) throw answer.reason;
    return [];
  }

  async #inTurn(host: string, cancellation: Cancellation): Promise<readonly string[]> {
    const before = this.#systemFree;
    const found = before.then(() => {
      if (cancellation.isCancelled) throw new Error("nobody waits for the image");
      return this.#system(host);
    });
    this.#systemFree = found.then(
      () => {},
      () => {},
    );
    return await found;
  }
}

async function systemLookup(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** Name servers that did not answer would not answer the system either. */
function isSilence(reason: unknown): boolean {
  const code = reason instanceof Error && "code" in reason ? reason.code : undefined;
  return code === "ETIMEOUT" || code === "ECANCELLED";
}
