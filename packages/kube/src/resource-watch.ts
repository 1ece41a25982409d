import type { Clock, Logger, Timers } from "@pointsman/core";
import { type ApiClient, ApiError, failureText, statusError } from "./api-client.ts";
import { BackOff } from "./back-off.ts";
import { asRecord, asText, isRecord, type JsonRecord } from "./json-value.ts";
import { LineReader } from "./line-reader.ts";
import { listObjects } from "./list-objects.ts";
import { identityOf, type ObjectIdentity } from "./object-key.ts";
import { withQuery } from "./resource-path.ts";
import { defaultWatchLimits, type WatchLimits } from "./watch-limits.ts";

/** Takes the objects of one kind as they come and go. What it throws is logged and counts as taken. */
export interface ResourceSink {
  /** A new object, or another version of a known one. */
  upsert(object: JsonRecord, identity: ObjectIdentity): void;
  /** The object is gone or no longer selected. */
  remove(identity: ObjectIdentity): void;
}

/** Why the objects were listed. */
export type ListReason = "start" | "resync" | "expired" | "lost" | "failed";

/** What a watch tells about itself. */
export interface ResourceWatchHooks {
  onList?(reason: ListReason): void;
  /** Another path is followed than before; called after its first list. */
  onPath?(path: string): void;
  /** Contact was lost, or there is none yet; called once until contact is back. */
  onAway?(problem: string): void;
  /** Contact is back after `awayMs`. */
  onBack?(awayMs: number): void;
}

export interface ResourceWatchOptions {
  readonly client: ApiClient;
  /** Name in logs and metrics: the plural. */
  readonly resource: string;
  /**
   * URL paths of the collection: the first that the API server knows is followed. One that may not be read is passed over
   * while it has never been followed: the API server does not say whether it knows it.
   */
  readonly paths: readonly string[];
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Members of objects that the sink does not read; it may get them all the same. `managedFields` is always one. */
  readonly skip?: readonly string[];
  readonly sink: ResourceSink;
  readonly hooks?: ResourceWatchHooks;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: () => number;
  readonly logger: Logger;
  readonly limits?: Partial<WatchLimits>;
}

/** State of a watch at one moment. */
export interface WatchStatus {
  readonly resource: string;
  /** Everything that existed once has been told. */
  readonly synced: boolean;
  /** The API server answers and a watch runs. */
  readonly connected: boolean;
  /** The API server does not know the kind. */
  readonly absent: boolean;
  /** Time since the state was last confirmed; `undefined` before the first list. */
  readonly ageMs: number | undefined;
  readonly objects: number;
  /** What keeps it from being connected. */
  readonly problem: string | undefined;
}

/**
 * Follows the objects of one kind and never gives up: lists, then watches from the list's version on. Whenever it cannot
 * be sure of having seen everything (a connection lost, an event that is an error, a version too old), it lists again and
 * tells what is gone. Only a watch that the server ends in order goes on without a list. Lists also come every few minutes.
 *
 * It holds the key and version of each object, never the objects. Lists are cut while they come in, so that no parse is
 * longer than that of one object.
 */
export class ResourceWatch {
  readonly #options: ResourceWatchOptions;
  readonly #limits: WatchLimits;
  readonly #backOff: BackOff;
  /** Version of each known object by key. */
  readonly #known = new Map<string, ObjectIdentity>();
  readonly #stop = new AbortController();
  #path: string | undefined;
  #synced = false;
  #connected = false;
  #absentSinceMs: number | undefined;
  #contactAtMs: number | undefined;
  /** When the API server accepted the watch that broke last, or that runs. */
  #openedAtMs: number | undefined;
  #problem: string | undefined;
  #awaySinceMs: number | undefined;
  #tooMany = false;
  #whenSynced: (() => void)[] = [];

  constructor(options: ResourceWatchOptions) {
    this.#options = options;
    this.#limits = { ...defaultWatchLimits, ...options.limits };
    this.#backOff = new BackOff({
      firstMs: this.#limits.firstBackOffMs,
      mostMs: this.#limits.mostBackOffMs,
      random: options.random,
    });
  }

  /** Starts to follow. */
  start(): void {
    void this.#run();
  }

  /** Ends all of it. The sink hears nothing more. */
  stop(): void {
    this.#stop.abort();
    this.#connected = false;
  }

  /** Calls `run` once everything that exists has been told; at once when it has. */
  onceSynced(run: () => void): void {
    if (this.#synced) run();
    else this.#whenSynced.push(run);
  }

  status(): WatchStatus {
    return {
      resource: this.#options.resource,
      synced: this.#synced,
      connected: this.#connected,
      absent: this.#absentSinceMs !== undefined && this.#known.size === 0,
      ageMs: this.#contactAtMs === undefined ? undefined : this.#options.clock.now() - this.#contactAtMs,
      objects: this.#known.size,
      problem: this.#connected ? undefined : this.#problem,
    };
  }

  async #run(): Promise<void> {
    let reason: ListReason = "start";
    while (!this.#stop.signal.aborted) {
      try {
        const version = await this.#list(reason);
        reason = version === undefined ? "start" : await this.#follow(version);
        if (reason === "expired") await this.#pause(this.#nextWaitMs());
      } catch (thrown: unknown) {
        if (this.#stop.signal.aborted) return;
        reason = this.#failed(thrown);
        await this.#pause(this.#pauseAfter(thrown));
      }
    }
  }

  /** Lists everything; returns the version to watch from, `undefined` when the API server does not know the kind. */
  async #list(reason: ListReason): Promise<string | undefined> {
    const { paths, hooks } = this.#options;
    let refusal: ApiError | undefined;
    for (const path of paths) {
      try {
        hooks?.onList?.(reason);
        const version = await this.#listAt(path);
        this.#absentSinceMs = undefined;
        if (this.#path !== path) hooks?.onPath?.(path);
        this.#path = path;
        return version;
      } catch (thrown: unknown) {
        if (!(thrown instanceof ApiError)) throw thrown;
        if (thrown.status === 403 && path !== this.#path) refusal ??= thrown;
        else if (thrown.status !== 404) throw thrown;
        this.#problem = thrown.message;
        if (path === this.#path && !this.#isGone()) break;
      }
    }
    if (refusal !== undefined) throw refusal;
    await this.#absent();
    return undefined;
  }

  async #listAt(path: string): Promise<string> {
    const { labelSelector, fieldSelector, clock } = this.#options;
    const { client, skip = [] } = this.#options;
    const seen = new Set<string>();
    const version = await listObjects({
      ...{ client, path, labelSelector, fieldSelector, limits: this.#limits, signal: this.#stop.signal },
      skip: ["managedFields", ...skip],
      onItem: (json) => {
        this.#contactAtMs = clock.now();
        const identity = this.#take(JSON.parse(json));
        if (identity !== undefined) seen.add(identity.key);
      },
    });
    for (const identity of [...this.#known.values()]) if (!seen.has(identity.key)) this.#drop(identity);
    this.#contactAtMs = clock.now();
    this.#markSynced();
    return version;
  }

  /** Watches from a version on, request after request, until a list is needed. */
  async #follow(version: string): Promise<ListReason> {
    const { clock, random, timers } = this.#options;
    const resync = new AbortController();
    const timer = timers.after(this.#limits.resyncMs * (0.9 + random() / 5), () => resync.abort());
    try {
      let from = version;
      for (;;) {
        const startedAtMs = clock.now();
        const next = await this.#watchOnce(from, resync.signal);
        if (next === "expired") return "expired";
        this.#contactAtMs = clock.now();
        const ended = clock.now() - startedAtMs < this.#limits.firstBackOffMs ? "at once" : "in time";
        if (next !== from || ended === "in time") this.#backOff.reset();
        // A server that ends watches at once is not to be asked in a loop.
        if (ended === "at once") await this.#pause(this.#backOff.next());
        from = next;
        if (resync.signal.aborted || this.#stop.signal.aborted) return "resync";
      }
    } catch (thrown: unknown) {
      if (resync.signal.aborted) return "resync";
      throw thrown;
    } finally {
      timer.stop();
    }
  }

  /** One watch request; returns the version it came to. Rejects when the connection is lost. */
  async #watchOnce(from: string, resync: AbortSignal): Promise<string> {
    const { labelSelector, fieldSelector, random, clock, client } = this.#options;
    const { watchMs, graceMs, maxObjectBytes } = this.#limits;
    const seconds = Math.max(1, Math.round((watchMs / 1000) * (0.9 + random() / 10)));
    const mostMs = seconds * 1000 + graceMs;
    // Blank lines keep a connection open that nobody feeds with events.
    const late = AbortSignal.timeout(mostMs);
    let version = from;
    const lines = new LineReader(maxObjectBytes, (line) => {
      const event = asRecord(JSON.parse(line));
      if (event["type"] === "ERROR") throw statusError(event["object"]);
      version = this.#event(event) ?? version;
    });
    try {
      await client.stream({
        path: withQuery(this.#path ?? "", {
          watch: "true",
          allowWatchBookmarks: "true",
          resourceVersion: from,
          timeoutSeconds: String(seconds),
          labelSelector,
          fieldSelector,
        }),
        idleMs: mostMs,
        signal: AbortSignal.any([this.#stop.signal, resync, late]),
        onOpen: () => {
          this.#contactAtMs = clock.now();
          this.#openedAtMs = this.#contactAtMs;
          this.#inContact();
        },
        onChunk: (chunk) => {
          this.#contactAtMs = clock.now();
          lines.push(chunk);
        },
      });
    } catch (thrown: unknown) {
      if (thrown instanceof ApiError && (thrown.status === 410 || thrown.reason === "Expired")) return "expired";
      if (late.aborted && !(thrown instanceof ApiError))
        throw new Error("the watch did not end in time", { cause: thrown });
      throw thrown;
    }
    if (lines.midLine) throw new Error("the watch ended in the middle of an event");
    return version;
  }

  /** Applies an event; returns the version it stands for. */
  #event(event: JsonRecord): string | undefined {
    const object = event["object"];
    if (!isRecord(object)) throw new Error("the watch delivered an event without an object");
    const version = asText(asRecord(object["metadata"])["resourceVersion"]);
    switch (event["type"]) {
      case "ADDED":
      case "MODIFIED":
        this.#take(object);
        break;
      case "DELETED": {
        const identity = identityOf(object);
        if (identity !== undefined) this.#drop(identity);
        break;
      }
      case "BOOKMARK":
        break;
      default:
        throw new Error(
          `the watch delivered an event of the unknown type ${JSON.stringify(event["type"])?.slice(0, 50)}`,
        );
    }
    return version;
  }

  #take(object: unknown): ObjectIdentity | undefined {
    const { sink, logger, resource } = this.#options;
    if (!isRecord(object)) return undefined;
    const identity = identityOf(object);
    if (identity === undefined) return undefined;
    const known = this.#known.get(identity.key);
    if (
      known !== undefined &&
      identity.resourceVersion !== undefined &&
      known.resourceVersion === identity.resourceVersion
    ) {
      return known;
    }
    if (known === undefined && this.#known.size >= this.#limits.maxObjects) {
      if (!this.#tooMany)
        logger.error(
          { resource, max: this.#limits.maxObjects },
          "too many objects in Kubernetes; further ones are left out",
        );
      this.#tooMany = true;
      return undefined;
    }
    this.#known.set(identity.key, identity);
    this.#guarded(() => sink.upsert(object, identity), identity);
    return identity;
  }

  #drop(identity: ObjectIdentity): void {
    if (!this.#known.delete(identity.key)) return;
    this.#tooMany = false;
    this.#guarded(() => this.#options.sink.remove(identity), identity);
  }

  #guarded(run: () => void, { key }: ObjectIdentity): void {
    if (this.#stop.signal.aborted) return;
    try {
      run();
    } catch (thrown: unknown) {
      const { logger, resource } = this.#options;
      logger.error(
        { resource, object: key, problem: failureText(thrown) },
        "a Kubernetes object could not be taken in",
      );
    }
  }

  /** The API server answers, and knows none of the paths. */
  async #absent(): Promise<void> {
    const { clock } = this.#options;
    this.#absentSinceMs ??= clock.now();
    this.#inContact();
    this.#connected = false;
    const gone = this.#isGone();
    if (gone) {
      this.#contactAtMs = clock.now();
      for (const identity of [...this.#known.values()]) this.#drop(identity);
      this.#markSynced();
    }
    const { absentMs, goneMs } = this.#limits;
    await this.#pause((gone ? absentMs : Math.min(absentMs, goneMs / 4)) * (0.75 + this.#options.random() / 2));
  }

  /** While an API server starts, it may not know kinds yet that it served before. */
  #isGone(): boolean {
    const sinceMs = this.#absentSinceMs;
    if (this.#known.size === 0) return true;
    return sinceMs !== undefined && this.#options.clock.now() - sinceMs >= this.#limits.goneMs;
  }

  #markSynced(): void {
    if (this.#synced || this.#stop.signal.aborted) return;
    this.#synced = true;
    for (const run of this.#whenSynced.splice(0)) run();
  }

  #inContact(): void {
    this.#connected = true;
    this.#problem = undefined;
    if (this.#awaySinceMs === undefined) return;
    const awayMs = this.#options.clock.now() - this.#awaySinceMs;
    this.#awaySinceMs = undefined;
    this.#options.hooks?.onBack?.(awayMs);
  }

  #failed(thrown: unknown): ListReason {
    const wasConnected = this.#connected;
    this.#connected = false;
    this.#problem = failureText(thrown);
    if (this.#awaySinceMs === undefined) {
      this.#awaySinceMs = this.#options.clock.now();
      this.#options.hooks?.onAway?.(this.#problem);
    }
    return wasConnected ? "lost" : "failed";
  }

  #pauseAfter(thrown: unknown): number {
    const ownMs = this.#nextWaitMs();
    const askedMs = thrown instanceof ApiError ? thrown.retryAfterMs : undefined;
    return askedMs === undefined ? ownMs : Math.max(askedMs, ownMs);
  }

  /** Waits start over after a watch that held for longer than the wait to come: what breaks each watch is not listed for in a loop. */
  #nextWaitMs(): number {
    const heldMs = this.#openedAtMs === undefined ? 0 : this.#options.clock.now() - this.#openedAtMs;
    this.#openedAtMs = undefined;
    if (heldMs > this.#backOff.longestNextMs) this.#backOff.reset();
    return this.#backOff.next();
  }

  #pause(delayMs: number): Promise<void> {
    const { signal } = this.#stop;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        timer.stop();
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = this.#options.timers.after(delayMs, end);
      signal.addEventListener("abort", end);
    });
  }
}
