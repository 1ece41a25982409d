import { createHash } from "node:crypto";
import { Agent } from "node:http";
import { Agent as TlsAgent } from "node:https";

/** TLS settings of connections to the API server. */
export interface ServerTls {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** A peer that is gone without a word is noticed after this and ten probes a second apart. */
const keepAliveMs = 10_000;
const agentOptions = { keepAlive: true, keepAliveMsecs: keepAliveMs, maxFreeSockets: 2, scheduling: "lifo" } as const;

/** Keeps one agent, and makes another when the TLS settings change: connections do not mix identities. */
export class AgentCache {
  #agent: Agent | undefined;
  #fingerprint: string | undefined;

  /** The agent for `tls`; for plain HTTP without. */
  agentFor(tls: ServerTls | undefined): Agent {
    const fingerprint = tls === undefined ? "" : fingerprintOf(tls);
    if (this.#agent === undefined || fingerprint !== this.#fingerprint) {
      // Requests that run on the former agent end there; what is idle is closed.
      this.#agent?.destroy();
      this.#agent = tls === undefined ? new Agent(agentOptions) : new TlsAgent({ ...agentOptions, ...tls });
      this.#fingerprint = fingerprint;
    }
    return this.#agent;
  }
}

function fingerprintOf({ ca, cert, key, servername, rejectUnauthorized }: ServerTls): string {
  const hash = createHash("sha256");
  for (const part of [ca, cert, key, servername, String(rejectUnauthorized)]) {
    const bytes = part ?? "";
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return hash.digest("hex");
}
