import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { EppError, errorText, type Logger } from "@pointsman/core";
import type { SidecarMetrics } from "../sidecar-metrics.ts";

/** Resolves a name to an address, an IPv4 one where there is one. */
export type ResolveHost = (name: string) => Promise<string>;

export interface MoriioHostsOptions {
  readonly flag: string;
  readonly names: readonly string[];
  readonly ttlMs: number;
  readonly timeoutMs: number;
  readonly metrics: SidecarMetrics;
  readonly logger: Logger;
  readonly resolveHost?: ResolveHost;
  readonly nowMs?: () => number;
}

/** Addresses of a list of hosts. Old ones are used while names are looked up again in the background. */
export class MoriioHosts {
  readonly #options: MoriioHostsOptions;
  #addresses: readonly string[];
  #resolvedMs: number;
  #refresh: Promise<void> | undefined;

  private constructor(options: MoriioHostsOptions, addresses: readonly string[]) {
    this.#options = options;
    this.#addresses = addresses;
    this.#resolvedMs = now(options);
  }

  /** Looks every name up. Rejects with `PD_SIDECAR_MORIIO_HOST` when one cannot be. */
  static async resolve(options: MoriioHostsOptions): Promise<MoriioHosts> {
    try {
      return new MoriioHosts(options, await lookUp(options));
    } catch (thrown: unknown) {
      throw new EppError("PD_SIDECAR_MORIIO_HOST", `--${options.flag}: ${errorText(thrown)}`, { cause: thrown });
    }
  }

  /** The addresses in the order of the names. Never waits. */
  get addresses(): readonly string[] {
    if (now(this.#options) - this.#resolvedMs >= this.#options.ttlMs && this.#hasNames) this.#startRefresh();
    return this.#addresses;
  }

  /** The look-up under way, for tests and orderly ends. */
  get refreshing(): Promise<void> {
    return this.#refresh ?? Promise.resolve();
  }

  get #hasNames(): boolean {
    return this.#options.names.some((name) => isIP(name) === 0);
  }

  #startRefresh(): void {
    if (this.#refresh !== undefined) return;
    const { metrics, logger, flag } = this.#options;
    metrics.moriioReresolve.inc();
    this.#refresh = lookUp(this.#options)
      .then((addresses) => {
        if (addresses.join() !== this.#addresses.join()) {
          metrics.moriioIpChanged.inc();
          logger.info({ flag, addresses }, "addresses of MoRI-IO hosts changed");
        }
        this.#addresses = addresses;
      })
      .catch((thrown: unknown) => {
        metrics.moriioLookupFailures.inc();
        logger.warn({ flag, problem: errorText(thrown) }, "MoRI-IO hosts not looked up; the known addresses stay");
      })
      .finally(() => {
        this.#resolvedMs = now(this.#options);
        this.#refresh = undefined;
      });
  }
}

async function lookUp({ names, timeoutMs, resolveHost = systemResolve }: MoriioHostsOptions): Promise<string[]> {
  return await Promise.all(
    names.map(async (name) => {
      if (isIP(name) !== 0) return name;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${name} was not looked up in ${timeoutMs} ms`)), timeoutMs);
      });
      try {
        return await Promise.race([resolveHost(name), late]);
      } finally {
        clearTimeout(timer);
      }
    }),
  );
}

const systemResolve: ResolveHost = async (name) => (await lookup(name, { order: "ipv4first" })).address;

function now(options: MoriioHostsOptions): number {
  return options.nowMs?.() ?? performance.now();
}
