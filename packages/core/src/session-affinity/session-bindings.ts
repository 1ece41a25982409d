/** The endpoint a session belongs to, and when it was last used. */
interface Binding {
  readonly endpointId: string;
  lastSeenMs: number;
}

/**
 * Which endpoint each session belongs to. It holds at most as many sessions as it is told, forgets those that are not
 * used for a while, and those of an endpoint that goes.
 *
 * Cost: O(1) for each call but `sweep` and `forgetEndpoint`, which are O(sessions removed).
 */
export class SessionBindings {
  readonly #ttlMs: number;
  readonly #maxSessions: number;
  /** Least recently used first. */
  readonly #bindings: Map<string, Binding> = new Map();
  readonly #sessionsOf: Map<string, Set<string>> = new Map();

  constructor(limits: { readonly ttlMs: number; readonly maxSessions: number }) {
    this.#ttlMs = limits.ttlMs;
    this.#maxSessions = limits.maxSessions;
  }

  get size(): number {
    return this.#bindings.size;
  }

  /** Id of the endpoint a session is bound to; `undefined` where there is none or the binding has expired. */
  endpointOf(sessionId: string, nowMs: number): string | undefined {
    const binding = this.#bindings.get(sessionId);
    return binding === undefined || this.#isExpired(binding, nowMs) ? undefined : binding.endpointId;
  }

  /** Tells whether some session is bound to the endpoint. */
  hasEndpoint(endpointId: string): boolean {
    return this.#sessionsOf.has(endpointId);
  }

  /** Binds a session to an endpoint, or notes that it was used again there. */
  bind(sessionId: string, endpointId: string, nowMs: number): void {
    const known = this.#bindings.get(sessionId);
    if (known !== undefined && known.endpointId === endpointId) {
      known.lastSeenMs = nowMs;
      // Taken out and put back, it is the one used last.
      this.#bindings.delete(sessionId);
      this.#bindings.set(sessionId, known);
      return;
    }
    if (known !== undefined) this.#remove(sessionId, known);
    const own = ownCopy(sessionId);
    this.#bindings.set(own, { endpointId, lastSeenMs: nowMs });
    let sessions = this.#sessionsOf.get(endpointId);
    if (sessions === undefined) {
      sessions = new Set();
      this.#sessionsOf.set(endpointId, sessions);
    }
    sessions.add(own);
    if (this.#bindings.size <= this.#maxSessions) return;
    for (const [oldest, binding] of this.#bindings) {
      this.#remove(oldest, binding);
      return;
    }
  }

  forgetEndpoint(endpointId: string): void {
    for (const sessionId of this.#sessionsOf.get(endpointId) ?? []) this.#bindings.delete(sessionId);
    this.#sessionsOf.delete(endpointId);
  }

  /** Removes what has expired. */
  sweep(nowMs: number): void {
    for (const [sessionId, binding] of this.#bindings) {
      if (!this.#isExpired(binding, nowMs)) return;
      this.#remove(sessionId, binding);
    }
  }

  /** Number of sessions of up to `count` endpoints, in the order in which they got their first one. */
  perEndpoint(count: number): readonly { readonly endpoint: string; readonly sessions: number }[] {
    const counts: { endpoint: string; sessions: number }[] = [];
    for (const [endpoint, sessions] of this.#sessionsOf) {
      if (counts.length === count) break;
      counts.push({ endpoint, sessions: sessions.size });
    }
    return counts;
  }

  #isExpired(binding: Binding, nowMs: number): boolean {
    return nowMs - binding.lastSeenMs > this.#ttlMs;
  }

  #remove(sessionId: string, binding: Binding): void {
    this.#bindings.delete(sessionId);
    const sessions = this.#sessionsOf.get(binding.endpointId);
    sessions?.delete(sessionId);
    if (sessions?.size === 0) this.#sessionsOf.delete(binding.endpointId);
  }
}

/** The text in memory of its own: a part of a header would keep the whole header alive. */
function ownCopy(text: string): string {
  const copy = Buffer.from(text, "latin1").toString("latin1");
  return copy === text ? copy : Buffer.from(text, "utf16le").toString("utf16le");
}
