import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Clock, Logger, Timers } from "@pointsman/core";
import { type ApiClient, ApiError, type ApiRequest, failureText } from "./api-client.ts";
import { asInteger, asRecord, asText, type JsonRecord } from "./json-value.ts";
import { resourcePath } from "./resource-path.ts";

export interface LeaderElectionOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  /** Name of the Lease. */
  readonly lease: string;
  /** Name of this replica, unique; host name and random letters when absent. */
  readonly identity?: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: () => number;
  readonly logger: Logger;
  readonly times?: LeaseTimes;
  /** This replica leads from here on. */
  readonly onElected: () => void;
  /** This replica led and does not any more; it will not try again. */
  readonly onLost: (why: string) => void;
}

/** Times of a lease, as controllers of Kubernetes use them. */
export interface LeaseTimes {
  /** A lease that this replica holds and does not renew for this long may be taken. */
  readonly leaseMs: number;
  /** A leader that cannot renew for this long is none any more. Shorter than `leaseMs`, so that two never lead. */
  readonly renewMs: number;
  /** Time between tries. */
  readonly retryMs: number;
}

const defaultTimes: LeaseTimes = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 };

/** A Lease that states more would keep all replicas from leading for longer than anybody can mean. */
const maxLeaseSeconds = 3600;

/** Name of the Lease of a pool's pickers. */
export function leaseName(namespace: string, pool: string): string {
  return `epp-${namespace}-${pool}.llm-d.ai`;
}

/** What a Lease says, as last seen. */
interface Observed {
  readonly object: JsonRecord;
  readonly holder: string;
  readonly transitions: number;
  /** How long the holder may go without renewing. */
  readonly leaseMs: number;
  readonly version: string;
  /** When this replica saw it change: clocks of replicas are never compared. */
  readonly atMs: number;
}

/**
 * Elects one of several replicas through a Lease.
 *
 * A replica takes the Lease when nobody holds it or its holder has not renewed it for the time that the Lease states, 15
 * seconds unless another program wrote it, and renews it every 2 seconds. One that cannot renew for 10 seconds stops to lead, 5 seconds before another may. Writes carry the version
 * that was read, so of two that try at once one fails.
 */
export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #times: LeaseTimes;
  readonly #identity: string;
  readonly #path: string;
  readonly #stop = new AbortController();
  #observed: Observed | undefined;
  #leading = false;
  /** The API server may have taken in a write whose answer did not come. */
  #writeUnanswered = false;
  #ended = false;
  #acquiredAt = "";
  /** Last time the API server confirmed that this replica leads. */
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #timer: { stop(): void } | undefined;
  #round: Promise<void> = Promise.resolve();
  #toldHolder: string | undefined;
  #toldProblem: string | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#times = options.times ?? defaultTimes;
    this.#identity = options.identity ?? `${hostname()}_${randomUUID()}`;
    this.#path = resourcePath({
      group: "coordination.k8s.io",
      version: "v1",
      plural: "leases",
      namespace: options.namespace,
    });
  }

  /** This replica leads. */
  get leading(): boolean {
    return this.#leading;
  }

  /** Who leads, as last seen. */
  get holder(): string | undefined {
    return this.#observed?.holder;
  }

  start(): void {
    this.#schedule(0);
  }

  /** Stops to take part; a leader gives the Lease back, so that another one need not wait. Never rejects. */
  async release(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.stop();
    this.#stop.abort();
    await this.#round;
    const mayHold = this.#leading || this.#writeUnanswered;
    this.#leading = false;
    if (!mayHold) return;
    const { client, logger, lease } = this.#options;
    try {
      const now = await this.#read(this.#times.retryMs);
      if (now?.holder !== this.#identity) return;
      await client.send({
        method: "PUT",
        path: `${this.#path}/${lease}`,
        body: { ...now.object, spec: this.#spec("", 1, now.transitions) },
        timeoutMs: this.#times.retryMs,
      });
      logger.info({ lease }, "leadership given back");
    } catch (thrown: unknown) {
      logger.warn({ lease, problem: failureText(thrown) }, "leadership could not be given back; it runs out by itself");
    }
  }

  #schedule(delayMs: number): void {
    if (this.#ended) return;
    this.#timer = this.#options.timers.after(delayMs, () => {
      this.#round = this.#tryOnce().then(() => this.#schedule(this.#nextTryMs()));
    });
  }

  #nextTryMs(): number {
    const { retryMs, renewMs } = this.#times;
    // Standbys that started together do not stay together.
    if (!this.#leading) return retryMs * (1 + this.#options.random() * 0.2);
    // A leader whose time runs out says so in time.
    return Math.max(0, Math.min(retryMs, this.#renewedAtMs + renewMs - this.#options.clock.now()));
  }

  async #tryOnce(): Promise<void> {
    const { clock, logger, lease } = this.#options;
    const { renewMs } = this.#times;
    const startedAtMs = clock.now();
    const deadlineMs = (this.#leading ? this.#renewedAtMs : startedAtMs) + renewMs;
    try {
      const holds = await this.#acquireOrRenew(deadlineMs);
      this.#toldProblem = undefined;
      if (this.#ended) {
        // A release waits for this round and gives back what it gained.
        this.#leading ||= holds;
      } else if (holds) {
        // Counted from before the request: the server may have taken it in at once.
        this.#renewedAtMs = startedAtMs;
        if (!this.#leading) this.#elected();
      } else if (this.#leading) this.#lost(`${this.holder || "nobody"} holds the lease`);
      return;
    } catch (thrown: unknown) {
      if (this.#ended) return;
      const problem = failureText(thrown);
      if (problem !== this.#toldProblem) {
        logger.warn({ lease, problem, leading: this.#leading }, "the lease could not be read or written");
      }
      this.#toldProblem = problem;
    }
    if (this.#leading && clock.now() >= deadlineMs) {
      this.#lost(`the lease could not be renewed for ${renewMs / 1000} seconds`);
    }
  }

  #elected(): void {
    const { logger, lease } = this.#options;
    this.#leading = true;
    logger.info({ lease, identity: this.#identity }, "elected: this replica leads");
    this.#options.onElected();
  }

  #lost(why: string): void {
    if (this.#ended) return;
    this.#leading = false;
    this.#ended = true;
    this.#timer?.stop();
    this.#options.logger.error({ lease: this.#options.lease, why }, "leadership lost");
    this.#options.onLost(why);
  }

  /** Takes or renews the lease if this replica may; tells whether it holds it afterwards. */
  async #acquireOrRenew(deadlineMs: number): Promise<boolean> {
    const { clock, lease, namespace, logger } = this.#options;
    // A leader knows what it wrote last.
    const seen = this.#leading ? this.#observed : await this.#read(this.#leftMs(deadlineMs));
    if (seen === undefined) {
      this.#acquiredAt = microTime(clock.wallTime());
      return await this.#write(
        {
          method: "POST",
          path: this.#path,
          body: {
            apiVersion: "coordination.k8s.io/v1",
            kind: "Lease",
            metadata: { name: lease, namespace },
            spec: this.#spec(this.#identity, this.#leaseSeconds, 0),
          },
        },
        deadlineMs,
      );
    }
    const { holder, transitions, object, atMs, leaseMs } = seen;
    const mine = holder === this.#identity;
    if (!mine && holder !== "" && clock.now() - atMs < leaseMs) {
      if (holder !== this.#toldHolder) logger.info({ lease, holder }, "standing by: another replica leads");
      this.#toldHolder = holder;
      return false;
    }
    if (!mine) this.#acquiredAt = microTime(clock.wallTime());
    const spec = this.#spec(this.#identity, this.#leaseSeconds, mine ? transitions : transitions + 1);
    return await this.#write({ method: "PUT", path: `${this.#path}/${lease}`, body: { ...object, spec } }, deadlineMs);
  }

  async #write(request: ApiRequest, deadlineMs: number): Promise<boolean> {
    const { signal } = this.#stop;
    this.#writeUnanswered = true;
    try {
      this.#observe(await this.#options.client.send({ ...request, timeoutMs: this.#leftMs(deadlineMs), signal }));
    } catch (thrown: unknown) {
      if (thrown instanceof ApiError) this.#writeUnanswered = false;
      // Another replica was faster, somebody edited the lease, or an earlier write arrived after all.
      if (!(thrown instanceof ApiError) || (thrown.status !== 409 && thrown.status !== 404)) throw thrown;
      const now = await this.#read(this.#leftMs(deadlineMs));
      if (this.#leading && (now === undefined || now.holder === this.#identity)) {
        this.#observed = now;
        throw new Error("somebody else changed the lease", { cause: thrown });
      }
      return false;
    }
    this.#writeUnanswered = false;
    return this.holder === this.#identity;
  }

  async #read(timeoutMs: number): Promise<Observed | undefined> {
    const signal = this.#ended ? undefined : this.#stop.signal;
    const path = `${this.#path}/${this.#options.lease}`;
    try {
      return this.#observe(
        await this.#options.client.send({
          method: "GET",
          path,
          timeoutMs,
          ...(signal === undefined ? {} : { signal }),
        }),
      );
    } catch (thrown: unknown) {
      if (thrown instanceof ApiError && thrown.status === 404) return undefined;
      throw thrown;
    }
  }

  #leftMs(deadlineMs: number): number {
    const leftMs = deadlineMs - this.#options.clock.now();
    if (leftMs <= 0) throw new Error("the time for it is over");
    return leftMs;
  }

  #observe(answer: unknown): Observed {
    const object = asRecord(answer);
    const spec = asRecord(object["spec"]);
    const version = asText(asRecord(object["metadata"])["resourceVersion"]) ?? "";
    if (this.#observed === undefined || this.#observed.version !== version) {
      this.#observed = {
        object,
        holder: asText(spec["holderIdentity"]) ?? "",
        transitions: asInteger(spec["leaseTransitions"]) ?? 0,
        leaseMs: this.#statedLeaseMs(spec["leaseDurationSeconds"]),
        version,
        atMs: this.#options.clock.now(),
      };
    }
    return this.#observed;
  }

  /** The holder knows how long it leads without renewing; what cannot be meant counts as not stated. */
  #statedLeaseMs(seconds: unknown): number {
    const stated = asInteger(seconds);
    const own = this.#leaseSeconds;
    return stated === undefined || stated === own || stated < 1 || stated > maxLeaseSeconds
      ? this.#times.leaseMs
      : stated * 1000;
  }

  get #leaseSeconds(): number {
    return Math.max(1, Math.round(this.#times.leaseMs / 1000));
  }

  #spec(holder: string, seconds: number, transitions: number): JsonRecord {
    const now = microTime(this.#options.clock.wallTime());
    return {
      holderIdentity: holder,
      leaseDurationSeconds: seconds,
      acquireTime: holder === "" ? now : this.#acquiredAt,
      renewTime: now,
      leaseTransitions: transitions,
    };
  }
}

/** Time in the form of Kubernetes' MicroTime. */
function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/Z$/, "000Z");
}
