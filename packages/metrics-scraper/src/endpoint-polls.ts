import type { Endpoint } from "@pointsman/core";
import type { PreparedBinding } from "./poll-binding.ts";
import {
  failuresUntilFailing,
  type PollContext,
  type PollStatus,
  type PollVerdict,
  SourcePoll,
} from "./source-poll.ts";

/** All polls of one endpoint, and what they say together about whether it answers. */
export class EndpointPolls {
  readonly endpoint: Endpoint;
  readonly #polls: readonly SourcePoll[];
  #answeredAtMs: number = Number.NEGATIVE_INFINITY;
  #hostPort: string;
  #metricsHost: string;

  constructor(endpoint: Endpoint, bindings: readonly PreparedBinding[], context: PollContext) {
    this.endpoint = endpoint;
    this.#hostPort = endpoint.hostPort;
    this.#metricsHost = endpoint.metadata.metricsHost;
    this.#polls = bindings.map(
      (binding, index) =>
        new SourcePoll(binding, endpoint, endpoint.slot * bindings.length + index, context, this.#onVerdict),
    );
  }

  start(): void {
    // What an earlier scraper has found out would stay for ever where nobody looks any more.
    if (!this.#polls.some((poll) => poll.looksAtEndpoint)) this.endpoint.reachability = "unknown";
    for (const poll of this.#polls) poll.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#polls.map((poll) => poll.stop()));
  }

  endpointChanged(): void {
    const { endpoint } = this;
    if (endpoint.hostPort !== this.#hostPort || endpoint.metadata.metricsHost !== this.#metricsHost) {
      this.#hostPort = endpoint.hostPort;
      this.#metricsHost = endpoint.metadata.metricsHost;
      this.#answeredAtMs = Number.NEGATIVE_INFINITY;
      endpoint.reachability = "unknown";
    }
    for (const poll of this.#polls) poll.endpointChanged();
  }

  status(nowMs: number): readonly PollStatus[] {
    return this.#polls.map((poll) => poll.status(nowMs));
  }

  /**
   * Only the polls closest to the endpoint's own address count: an exporter on the node says nothing about a server.
   * An endpoint is down when one of them found nobody several times in a row and none got an answer meanwhile.
   */
  readonly #onVerdict = (poll: SourcePoll, verdict: PollVerdict, nowMs: number): void => {
    if (verdict === "nothing-learned" || !this.#isClosest(poll)) return;
    const { endpoint } = this;
    if (verdict === "page") {
      this.#answeredAtMs = nowMs;
      endpoint.reachability = "up";
    } else if (verdict === "bad-answer") {
      this.#answeredAtMs = nowMs;
      // Somebody listens, so it is not down; whether it serves is not known.
      if (endpoint.reachability === "down") endpoint.reachability = "unknown";
    } else if (poll.noAnswersInARow >= failuresUntilFailing && this.#answeredAtMs < poll.noAnswerSinceMs) {
      endpoint.reachability = "down";
    }
  };

  #isClosest(poll: SourcePoll): boolean {
    const { closeness } = poll;
    return closeness > 0 && this.#polls.every((other) => other.closeness <= closeness);
  }
}
