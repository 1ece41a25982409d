import { get, members, scanJson, stringValue } from "@pointsman/core/json";
import type { Exchange } from "../exchange.ts";
import type { Stages } from "../stages.ts";
import { isSuccess } from "../upstream/collect-reply.ts";
import { makeTarget, type Target } from "../upstream/target.ts";
import { failureText } from "../upstream/upstream-failure.ts";
import type { UpstreamPool } from "../upstream/upstream-pool.ts";

/** One engine of a prefill server. */
export interface MooncakeEngine {
  readonly rank: number;
  readonly engineId: string;
}

interface CachedEngines {
  readonly engines: readonly MooncakeEngine[];
  readonly untilMs: number;
}

const queryTimeoutMs = 5_000;
/** After this long a server is asked again: a restarted one has other engines. */
const keepMs = 30_000;
const maxServers = 1024;
const maxRanks = 4096;
const maxIdCharacters = 512;

/** What the bootstrap servers of prefill servers say about their engines, kept for half a minute. */
export class MooncakeEngines {
  readonly #stages: Stages;
  /** Bootstrap servers speak plain HTTP. */
  readonly #pool: UpstreamPool;
  readonly #port: number;
  readonly #nowMs: () => number;
  /** By the prefill server's `host:port`; the longest unused first. */
  readonly #known = new Map<string, CachedEngines>();

  constructor(stages: Stages, pool: UpstreamPool, port: number, nowMs: () => number = () => performance.now()) {
    this.#stages = stages;
    this.#pool = pool;
    this.#port = port;
    this.#nowMs = nowMs;
  }

  bootstrapOf(prefill: Target): Target {
    return makeTarget(prefill.host, this.#port);
  }

  /** The engines of a server, at least one, or what is wrong. */
  async of(exchange: Exchange, prefill: Target): Promise<readonly MooncakeEngine[] | string> {
    const known = this.#known.get(prefill.hostPort);
    if (known !== undefined && known.untilMs > this.#nowMs()) {
      this.#known.delete(prefill.hostPort);
      this.#known.set(prefill.hostPort, known);
      return known.engines;
    }
    const reply = await this.#stages.query(exchange, this.bootstrapOf(prefill), "/query", this.#pool, queryTimeoutMs);
    if (!reply.answered) return failureText(reply.failure);
    if (!isSuccess(reply.status)) return `status ${reply.status}`;
    const engines = enginesOf(reply.body);
    if (engines.length === 0) return "its answer names no engine_id";
    this.#known.delete(prefill.hostPort);
    this.#known.set(prefill.hostPort, { engines, untilMs: this.#nowMs() + keepMs });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= maxServers) break;
      this.#known.delete(oldest);
    }
    return engines;
  }

  /** The next request asks the server again. */
  forget(prefill: Target): void {
    this.#known.delete(prefill.hostPort);
  }
}

/** Reads `{"<rank>": {"engine_id": "..."}}`. What does not fit is left out. */
function enginesOf(body: Uint8Array): MooncakeEngine[] {
  const document = scanJson(body);
  if (!document.ok) return [];
  const engines: MooncakeEngine[] = [];
  const cursor = members(document.root);
  while (cursor.next() && engines.length < maxRanks) {
    const key = cursor.key() ?? "";
    const engineId = stringValue(get(cursor, "engine_id"));
    if (!/^[0-9]{1,6}$/.test(key) || engineId === undefined || engineId === "") continue;
    if (engineId.length <= maxIdCharacters) engines.push({ rank: Number(key), engineId });
  }
  return engines;
}
