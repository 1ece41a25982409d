import { createHash } from "node:crypto";
import type { Clock, Counter, Logger, MetricsRegistry } from "@pointsman/core";
import { type ApiClient, failureText } from "./api-client.ts";
import { asList, asRecord, asText } from "./json-value.ts";
import { TtlCache } from "./ttl-cache.ts";

/** What of a request decides whether it is served. */
export interface AuthRequest {
  readonly method: string;
  /** Path with or without query. */
  readonly url: string;
  /** The `Authorization` header. */
  readonly authorization: string | undefined;
}

/** Why a request is not served. */
export interface AuthRefusal {
  readonly status: 401 | 403 | 500;
  readonly body: string;
}

export interface MetricsAuthOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** Who a token belongs to. */
interface User {
  readonly name: string;
  readonly uid: string | undefined;
  readonly groups: readonly string[];
  readonly extra: unknown;
}

const authenticatedMs = 60_000;
/** A token that is refused may be asked about again soon: it may become valid. */
const unknownMs = 10_000;
const allowedMs = 300_000;
const deniedMs = 30_000;
const reviewTimeoutMs = 10_000;
const maxCached = 1024;
/** Tokens are shorter; what is longer is none, and is not sent anywhere. */
const maxTokenChars = 16 * 1024;
/** Reviews that run at one time; made-up tokens must not become load on the API server. */
const maxReviews = 32;

/**
 * Asks the API server who a bearer token belongs to and whether that user may read a path. Answers are kept: who, 1
 * minute; may, 5 minutes; may not, 30 seconds.
 */
export class MetricsAuth {
  readonly #options: MetricsAuthOptions;
  readonly #users: TtlCache<Promise<User | undefined>>;
  readonly #verdicts: TtlCache<Promise<boolean>>;
  readonly #results: Readonly<Record<"ok" | "unauthenticated" | "denied" | "failed", Counter>>;
  #running = 0;
  #toldProblem: string | undefined;

  constructor(options: MetricsAuthOptions) {
    this.#options = options;
    this.#users = new TtlCache(maxCached, options.clock);
    this.#verdicts = new TtlCache(maxCached, options.clock);
    const results = options.metrics.counter({
      name: "llm_d_epp_metrics_auth_total",
      help: "Requests to the metrics port by what became of their authentication and authorization.",
      labelNames: ["result"],
    });
    this.#results = {
      ok: results.labels("ok"),
      unauthenticated: results.labels("unauthenticated"),
      denied: results.labels("denied"),
      failed: results.labels("failed"),
    };
  }

  /** Decides on a request; `undefined` lets it pass. Never rejects. */
  async check({ method, url, authorization }: AuthRequest): Promise<AuthRefusal | undefined> {
    const token = bearerToken(authorization);
    if (token === undefined) return this.#refuse("unauthenticated", 401, "Unauthorized");
    let user: User | undefined;
    try {
      user = await this.#userOf(token);
    } catch (thrown: unknown) {
      this.#failed("authentication", thrown);
      return this.#refuse("failed", 500, "Authentication failed");
    }
    if (user === undefined) return this.#refuse("unauthenticated", 401, "Unauthorized");
    try {
      if (!(await this.#may(user, method.toLowerCase(), url.split("?", 1)[0]!))) {
        return this.#refuse("denied", 403, `Authorization denied for user ${user.name}`);
      }
    } catch (thrown: unknown) {
      this.#failed("authorization", thrown);
      return this.#refuse("failed", 500, `Authorization for user ${user.name} failed`);
    }
    this.#results.ok.inc();
    this.#toldProblem = undefined;
    return undefined;
  }

  #refuse(result: "unauthenticated" | "denied" | "failed", status: AuthRefusal["status"], body: string): AuthRefusal {
    this.#results[result].inc();
    return { status, body };
  }

  #failed(what: string, thrown: unknown): void {
    const problem = failureText(thrown);
    if (problem === this.#toldProblem) return;
    this.#toldProblem = problem;
    this.#options.logger.error({ problem }, `${what} of requests to the metrics port failed`);
  }

  #userOf(token: string): Promise<User | undefined> {
    // Tokens are not kept.
    const key = createHash("sha256").update(token).digest("base64");
    return this.#kept(
      this.#users,
      key,
      (user) => (user === undefined ? unknownMs : authenticatedMs),
      async () => {
        const answer = await this.#review(
          "/apis/authentication.k8s.io/v1/tokenreviews",
          "authentication.k8s.io/v1",
          "TokenReview",
          { token },
        );
        if (answer["authenticated"] !== true) return undefined;
        const user = asRecord(answer["user"]);
        const name = asText(user["username"]);
        if (name === undefined) throw new Error("the token review names no user");
        const groups = asList(user["groups"]).filter((group) => typeof group === "string");
        return { name, uid: asText(user["uid"]), groups, extra: user["extra"] };
      },
    );
  }

  #may(user: User, verb: string, path: string): Promise<boolean> {
    const key = createHash("sha256")
      .update(JSON.stringify([user, verb, path]))
      .digest("base64");
    return this.#kept(
      this.#verdicts,
      key,
      (allowed) => (allowed ? allowedMs : deniedMs),
      async () => {
        const { name, uid, groups, extra } = user;
        const answer = await this.#review(
          "/apis/authorization.k8s.io/v1/subjectaccessreviews",
          "authorization.k8s.io/v1",
          "SubjectAccessReview",
          { user: name, uid, groups, extra, nonResourceAttributes: { path, verb } },
        );
        return answer["allowed"] === true && answer["denied"] !== true;
      },
    );
  }

  /** The kept answer; else one review for all who ask at the same time. Failures are not kept. */
  #kept<T>(cache: TtlCache<Promise<T>>, key: string, keepMs: (answer: T) => number, ask: () => Promise<T>): Promise<T> {
    const kept = cache.get(key);
    if (kept !== undefined) return kept;
    const answer = ask();
    cache.set(key, answer, reviewTimeoutMs * 2);
    answer.then(
      (value) => cache.set(key, answer, keepMs(value)),
      () => cache.delete(key),
    );
    return answer;
  }

  async #review(
    path: string,
    apiVersion: string,
    kind: string,
    spec: unknown,
  ): Promise<Readonly<Record<string, unknown>>> {
    if (this.#running >= maxReviews) throw new Error(`${maxReviews} reviews are running`);
    this.#running++;
    try {
      const body = { apiVersion, kind, spec };
      const answer = await this.#options.client.send({ method: "POST", path, body, timeoutMs: reviewTimeoutMs });
      return asRecord(asRecord(answer)["status"]);
    } finally {
      this.#running--;
    }
  }
}

function bearerToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > maxTokenChars) return undefined;
  return /^Bearer +([^\s]+) *$/i.exec(authorization)?.[1];
}
