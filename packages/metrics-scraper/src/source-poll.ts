import { type Clock, type Endpoint, errorText, hostPort, type Logger, type PollTarget } from "@pointsman/core";
import { PageClient, targetUrl } from "./page-client.ts";
import type { CountedExtractor, PreparedBinding } from "./poll-binding.ts";
import { PollFailure, printable } from "./poll-failure.ts";
import { backOffMs, nextPollMs, type PollPlace, pollPlace } from "./poll-times.ts";
import type { Schedule, Scheduled } from "./schedule.ts";

/** Failures in a row after which a poll counts as failing and an endpoint that does not answer as down. */
export const failuresUntilFailing = 3;

/** A deadline noticed later than this says more about this process than about the server. */
const lateWakeMs = 50;

/** What polls share. */
export interface PollContext {
  readonly schedule: Schedule;
  readonly clock: Clock;
  readonly logger: Logger;
  /** An integer that differs from process to process. */
  readonly seed: number;
  random(): number;
}

/** What one poll found out about whether its endpoint answers. */
export type PollVerdict = "page" | "bad-answer" | "no-answer" | "nothing-learned";

/** How one source fares at one endpoint. */
export interface PollStatus {
  /** Name of the source. */
  readonly source: string;
  /** What is polled; `undefined` when the source does not poll this endpoint. */
  readonly url: string | undefined;
  /** `waiting`: no poll has ended so far. `failing`: three or more polls in a row gave no usable page. */
  readonly state: "waiting" | "working" | "failing";
  readonly failuresInARow: number;
  /** Why the last poll gave no page; `undefined` when it gave one. */
  readonly lastFailure: string | undefined;
  /** Milliseconds since the last usable page; `undefined` before the first. */
  readonly pageAgeMs: number | undefined;
  /** What extractors could not read in the last page, by extractor name. */
  readonly extractProblems: Readonly<Record<string, string>>;
}

/**
 * Polls one source at one endpoint: one kept-alive connection, one poll at a time.
 *
 * Its single place in the schedule is the start of the next poll or, while one is under way, that poll's deadline.
 */
export class SourcePoll implements Scheduled {
  dueMs = 0;
  place = -1;
  readonly binding: PreparedBinding;
  readonly endpoint: Endpoint;
  /** Polls that failed with nobody answering, in a row. */
  noAnswersInARow = 0;
  /** When the first of these was started. */
  noAnswerSinceMs = 0;
  readonly #context: PollContext;
  readonly #place: PollPlace;
  readonly #onVerdict: (poll: SourcePoll, verdict: PollVerdict, nowMs: number) => void;
  #client: PageClient | undefined;
  #startedMs: number | undefined;
  #extended = false;
  #failuresInARow = 0;
  #lastFailure: string | undefined;
  #lastPageMs: number | undefined;
  #reportedFailing = false;
  #stopped = false;
  readonly #problems: Map<CountedExtractor, string> = new Map();

  constructor(
    binding: PreparedBinding,
    endpoint: Endpoint,
    number: number,
    context: PollContext,
    onVerdict: (poll: SourcePoll, verdict: PollVerdict, nowMs: number) => void,
  ) {
    this.binding = binding;
    this.endpoint = endpoint;
    this.#place = pollPlace(number);
    this.#context = context;
    this.#onVerdict = onVerdict;
  }

  start(): void {
    this.#context.schedule.set(this, this.#context.clock.now());
  }

  /** Ends the poll under way and closes the connection. Resolves when it is closed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#context.schedule.remove(this);
    const client = this.#client;
    this.#client = undefined;
    await client?.abort();
  }

  /** Follows a change of the endpoint: a source that looks elsewhere starts over at once. */
  endpointChanged(): void {
    const target = this.#readTarget();
    if (target instanceof PollFailure || (target !== undefined && sameTarget(target, this.#client?.target))) return;
    this.#startOver();
    this.start();
  }

  /**
   * How much an answer to this poll says about the endpoint: 2 at its own address, 1 at another port of its host,
   * 0 elsewhere.
   */
  get closeness(): 0 | 1 | 2 {
    return this.#closenessOf(this.#client?.target);
  }

  /** Whether what the source polls says anything about the endpoint. */
  get looksAtEndpoint(): boolean {
    const target = this.#readTarget();
    return !(target instanceof PollFailure) && this.#closenessOf(target) > 0;
  }

  #closenessOf(target: PollTarget | undefined): 0 | 1 | 2 {
    if (target === undefined) return 0;
    const { metadata, hostPort: ownHostPort } = this.endpoint;
    const polled = hostPort(target.host, target.port);
    if (polled === ownHostPort || polled === metadata.metricsHost) return 2;
    return target.host === metadata.address ? 1 : 0;
  }

  status(nowMs: number): PollStatus {
    const failing = this.#failuresInARow >= failuresUntilFailing;
    const waiting = this.#lastPageMs === undefined && this.#failuresInARow === 0;
    return {
      source: this.binding.source.name,
      url: this.#client === undefined ? undefined : targetUrl(this.#client.target),
      state: failing ? "failing" : waiting ? "waiting" : "working",
      failuresInARow: this.#failuresInARow,
      lastFailure: this.#lastFailure,
      pageAgeMs: this.#lastPageMs === undefined ? undefined : nowMs - this.#lastPageMs,
      extractProblems: Object.fromEntries([...this.#problems].map(([{ plugin }, problem]) => [plugin.name, problem])),
    };
  }

  runDue(nowMs: number): void {
    if (this.#startedMs === undefined) {
      this.#poll(nowMs);
    } else if (nowMs - this.dueMs > lateWakeMs && !this.#extended) {
      // The process itself was held up: the answer may lie in the socket, unread. Reading comes before the next timer.
      this.#extended = true;
      this.#context.schedule.set(this, nowMs + lateWakeMs);
    } else {
      this.#timeOut();
    }
  }

  #poll(nowMs: number): void {
    const target = this.#readTarget();
    if (target === undefined) {
      this.#closeClient();
      this.#context.schedule.set(this, nowMs + this.binding.intervalMs);
      return;
    }
    this.#startedMs = nowMs;
    this.#extended = false;
    if (target instanceof PollFailure) {
      this.#failed(target);
      return;
    }
    if (!sameTarget(target, this.#client?.target)) {
      this.#closeClient();
      this.#client = new PageClient(target, this.binding.client);
    }
    this.#context.schedule.set(this, nowMs + this.binding.timeoutMs);
    this.#client!.fetch(this.#onOutcome);
  }

  readonly #onOutcome = (outcome: Uint8Array | PollFailure): void => {
    if (this.#stopped) return;
    const failure = outcome instanceof PollFailure ? outcome : this.#checkPage(outcome);
    if (failure !== undefined) this.#failed(failure);
    // A page without a complaint is not a failure, so it is bytes.
    else this.#succeeded(outcome as Uint8Array);
  };

  #timeOut(): void {
    const { timeoutMs } = this.binding;
    const client = this.#client!;
    let failure: PollFailure;
    if (client.answered) failure = new PollFailure("bad-answer", `the page was not complete after ${timeoutMs} ms`);
    // Nobody was asked, so nobody was silent.
    else if (client.lookingUp) failure = new PollFailure("local", `its name has no address after ${timeoutMs} ms`);
    else failure = new PollFailure("silent", `no answer within ${timeoutMs} ms`);
    void client.abort();
    this.#failed(failure);
  }

  #readTarget(): PollTarget | PollFailure | undefined {
    try {
      return this.binding.source.instance.pollTarget(this.endpoint);
    } catch (thrown) {
      return new PollFailure("local", printable(`the source gave no address: ${errorText(thrown)}`));
    }
  }

  #checkPage(body: Uint8Array): PollFailure | undefined {
    try {
      const complaint = this.binding.source.instance.checkPayload?.(body);
      return complaint === undefined ? undefined : new PollFailure("bad-answer", printable(complaint));
    } catch (thrown) {
      return new PollFailure("local", printable(`the source could not check the page: ${errorText(thrown)}`));
    }
  }

  #succeeded(body: Uint8Array): void {
    const nowMs = this.#context.clock.now();
    const startedMs = this.#startedMs ?? nowMs;
    this.#startedMs = undefined;
    this.#lastPageMs = nowMs;
    this.#lastFailure = undefined;
    this.#failuresInARow = 0;
    this.noAnswersInARow = 0;
    for (const extractor of this.binding.extractors) this.#extract(extractor, body, nowMs);
    if (this.#stopped) return;
    this.#onVerdict(this, "page", nowMs);
    if (this.#reportedFailing) {
      this.#reportedFailing = false;
      this.#context.logger.info(this.#logFields(), "the endpoint's page is read again");
    }
    this.#context.schedule.set(
      this,
      nextPollMs({
        startedMs,
        nowMs,
        intervalMs: this.binding.intervalMs,
        place: this.#place,
        seed: this.#context.seed,
      }),
    );
  }

  #failed(failure: PollFailure): void {
    const nowMs = this.#context.clock.now();
    const startedMs = this.#startedMs ?? nowMs;
    this.#startedMs = undefined;
    this.#failuresInARow++;
    this.#lastFailure = failure.reason;
    this.binding.pollErrors.inc();
    const verdict = verdictOf(failure);
    if (verdict !== "no-answer") this.noAnswersInARow = 0;
    else if (this.noAnswersInARow++ === 0) this.noAnswerSinceMs = startedMs;
    this.#onVerdict(this, verdict, nowMs);
    if (this.#failuresInARow >= failuresUntilFailing && !this.#reportedFailing) {
      this.#reportedFailing = true;
      this.#context.logger.warn(
        { ...this.#logFields(), reason: failure.reason, failuresInARow: this.#failuresInARow },
        "the endpoint's page cannot be read; its values get stale until it can",
      );
    }
    const { intervalMs } = this.binding;
    const waitMs = backOffMs(failure.kind, this.#failuresInARow, intervalMs, this.#context.random());
    this.#context.schedule.set(this, nowMs + waitMs);
  }

  #extract(extractor: CountedExtractor, body: Uint8Array, nowMs: number): void {
    let problem: string | undefined;
    try {
      problem = extractor.plugin.instance.extract(body, this.endpoint, nowMs);
    } catch (thrown) {
      problem = `the extractor failed: ${errorText(thrown)}`;
    }
    if (problem !== undefined) extractor.errors.inc();
    const known = this.#problems.get(extractor);
    if (problem === known) return;
    const fields = { ...this.#logFields(), extractor: extractor.plugin.name };
    if (problem === undefined) {
      this.#problems.delete(extractor);
      this.#context.logger.info(fields, "the extractor reads the whole page again");
      return;
    }
    this.#problems.set(extractor, printable(problem));
    if (known !== undefined) return;
    this.#context.logger.warn(
      { ...fields, reason: printable(problem) },
      "the extractor cannot read all it should from the endpoint's page; what it cannot read is unknown",
    );
  }

  #logFields(): { readonly endpoint: string; readonly source: string; readonly look: string } {
    const target = this.#client?.target;
    const curl = target?.scheme === "https" ? "curl -skv" : "curl -sv";
    return {
      endpoint: this.endpoint.id,
      source: this.binding.source.name,
      look: target === undefined ? "the source's configuration" : `${curl} ${targetUrl(target)}`,
    };
  }

  #startOver(): void {
    this.#closeClient();
    this.#startedMs = undefined;
    this.#failuresInARow = 0;
    this.#lastFailure = undefined;
    this.#reportedFailing = false;
    this.noAnswersInARow = 0;
  }

  #closeClient(): void {
    void this.#client?.abort();
    this.#client = undefined;
  }
}

function verdictOf(failure: PollFailure): PollVerdict {
  switch (failure.kind) {
    case "unreachable":
    case "silent":
      return "no-answer";
    case "bad-answer":
      return "bad-answer";
    case "local":
      return "nothing-learned";
  }
}

function sameTarget(a: PollTarget, b: PollTarget | undefined): boolean {
  return b !== undefined && a.host === b.host && a.port === b.port && a.path === b.path && a.scheme === b.scheme;
}
