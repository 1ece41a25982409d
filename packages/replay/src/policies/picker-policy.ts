import {
  type Endpoint,
  Exchange,
  type ExchangeSink,
  Headers,
  type ImmediateReply,
  type NamedPlugin,
  type PollingExtractor,
  type PollingSource,
  type RoutedRequest,
  type Router,
} from "@pointsman/core";
import type { Datastore } from "@pointsman/datastore";
import type { Sequence, SimulatedEngine } from "../engine/simulated-engine.ts";
import type { PluginProblems } from "../plugin-problems.ts";
import type { SeededRandom } from "../seeded-random.ts";
import type { VirtualTime } from "../virtual-time.ts";
import { openAiRequest } from "../workload/prompt-text.ts";
import type { Workload, WorkloadRequest } from "../workload/workload.ts";
import { metricsPage } from "./metrics-page.ts";
import type { Choice, RoutingPolicy } from "./routing-policy.ts";

/** A picker made ready for virtual time. */
export interface ReplayedPicker {
  readonly name: string;
  readonly router: Router;
  /** Endpoints are put here before the first request. */
  readonly datastore: Datastore;
  /** Pages that the picker wants, and what reads them. */
  readonly sources: readonly {
    readonly source: NamedPlugin<PollingSource>;
    readonly extractors: readonly NamedPlugin<PollingExtractor>[];
  }[];
  dispose(): Promise<void>;
}

/** How late a real picker sees what servers send: network, timers, and work of its own that comes first. */
export interface AnswerDelays {
  /** Mean delay of each piece of an answer, exponentially distributed. */
  readonly meanMs: number;
  /** Share of the pieces that meet a pause of the picker, 0 to 1, */
  readonly pauseShare: number;
  /** and how long such a pause is on average. */
  readonly pauseMs: number;
}

/** What servers say at the end of an answer: all token counts, those without the cached ones, or none. */
export type ReportedUsage = "full" | "without-cached" | "none";

export interface PickerSurroundings {
  readonly scrapeIntervalMs: number;
  /** 0 to 1, moves the moments of scraping between those of other pickers. */
  readonly scrapePhase: number;
  readonly usage: ReportedUsage;
  readonly answerDelays: AnswerDelays | undefined;
  readonly random: SeededRandom;
  readonly problems: PluginProblems;
}

const modelName = "replayed-model";
const utf8 = new TextEncoder();

/** A real picker as a policy: it is asked as a proxy asks it, scrapes the servers' pages, and sees the answers. */
export class PickerPolicy implements RoutingPolicy {
  readonly name: string;
  readonly #picker: ReplayedPicker;
  readonly #workload: Workload;
  readonly #time: VirtualTime;
  readonly #surroundings: PickerSurroundings;
  readonly #serverOf: Map<string, number> = new Map();
  readonly #stops: { stop(): void }[] = [];

  constructor(
    picker: ReplayedPicker,
    engines: readonly SimulatedEngine[],
    workload: Workload,
    time: VirtualTime,
    surroundings: PickerSurroundings,
  ) {
    this.name = picker.name;
    this.#picker = picker;
    this.#workload = workload;
    this.#time = time;
    this.#surroundings = surroundings;
    for (const { index } of engines) {
      const address = `10.0.${index >> 8}.${index & 255}`;
      picker.datastore.upsert({
        id: `replay/server-${index}`,
        namespace: "replay",
        name: `server-${index}`,
        address,
        port: 8000,
        metricsHost: `${address}:8000`,
        labels: {},
        rankIndex: 0,
      });
      this.#serverOf.set(`${address}:8000`, index);
    }
    const timers = time.timers("metrics", surroundings.problems.logger());
    const endpoints = picker.datastore.snapshot();
    endpoints.forEach((endpoint, index) => {
      for (const binding of picker.sources) {
        if (!this.#isPolled(binding.source, endpoint)) continue;
        const intervalMs = binding.source.instance.intervalMs ?? surroundings.scrapeIntervalMs;
        const scrape = (): void => {
          const page = metricsPage(engines[index]!, modelName);
          endpoint.reachability = "up";
          for (const extractor of binding.extractors) this.#extract(extractor, page, endpoint);
        };
        scrape();
        // Spread over the interval, as the scraper does.
        timers.after((intervalMs * (index + surroundings.scrapePhase)) / endpoints.length, () => {
          this.#stops.push(timers.every(intervalMs, scrape));
        });
      }
    });
  }

  #isPolled({ name, instance }: NamedPlugin<PollingSource>, endpoint: Endpoint): boolean {
    try {
      return instance.pollTarget(endpoint) !== undefined;
    } catch (thrown: unknown) {
      this.#surroundings.problems.threw(name, "gave no address", thrown);
      return false;
    }
  }

  #extract({ name, instance }: NamedPlugin<PollingExtractor>, page: Uint8Array, endpoint: Endpoint): void {
    const { problems } = this.#surroundings;
    try {
      const problem = instance.extract(page, endpoint, this.#time.now());
      if (problem !== undefined) problems.note(name, `could not read all of a server's page: ${problem}`);
    } catch (thrown: unknown) {
      problems.threw(name, "failed on a server's page", thrown);
    }
  }

  route(request: WorkloadRequest, chosen: (choice: Choice) => void): void {
    const { path, body } = openAiRequest(this.#workload, request, modelName);
    const startMs = performance.now();
    const sink = new ReplaySink(request, this.#serverOf, startMs, this.#time, this.#surroundings, chosen);
    const exchange = new Exchange(this.#picker.router, sink);
    sink.exchange = exchange;
    const headers = new Headers();
    headers.append(":method", "POST");
    headers.append(":path", path);
    headers.append("content-type", "application/json");
    headers.append("x-request-id", `replay-${request.index}`);
    if (request.session !== undefined) headers.append("x-session-id", request.session);
    exchange.requestHeaders(headers, false, {});
    exchange.requestBody(body, true, {});
  }

  async dispose(): Promise<void> {
    for (const timer of this.#stops) timer.stop();
    await this.#picker.dispose();
  }
}

/** Plays the proxy for one request. */
class ReplaySink implements ExchangeSink {
  exchange: Exchange | undefined;
  readonly #request: WorkloadRequest;
  readonly #serverOf: ReadonlyMap<string, number>;
  readonly #startMs: number;
  readonly #time: VirtualTime;
  readonly #surroundings: PickerSurroundings;
  /** When the last piece of the answer is seen: they come in order. */
  #seenMs = 0;
  readonly #chosen: (choice: Choice) => void;
  #target: Endpoint | undefined;
  #decided = false;

  constructor(
    request: WorkloadRequest,
    serverOf: ReadonlyMap<string, number>,
    startMs: number,
    time: VirtualTime,
    surroundings: PickerSurroundings,
    chosen: (choice: Choice) => void,
  ) {
    this.#request = request;
    this.#serverOf = serverOf;
    this.#startMs = startMs;
    this.#time = time;
    this.#surroundings = surroundings;
    this.#chosen = chosen;
  }

  routed(routed: RoutedRequest): void {
    this.#decided = true;
    this.#target = routed.targets[0];
    this.#chosen({
      server: this.#serverOf.get(this.#target?.hostPort ?? ""),
      decisionMs: performance.now() - this.#startMs,
      onProgress: (sequence, finished) => this.#sent(sequence, finished),
    });
  }

  reply(reply: ImmediateReply): void {
    this.exchange?.close("error");
    // What is said after the decision changes nothing for the server, which serves the request to its end.
    if (this.#decided) return;
    this.#decided = true;
    this.#chosen({
      server: undefined,
      problem: `${reply.status} ${reply.body}`,
      decisionMs: performance.now() - this.#startMs,
    });
  }

  requestTrailers(): void {}
  responseHeaders(): void {}
  responseBody(): void {}
  responseTrailers(): void {}

  /** A server sent a piece of the answer; the picker sees it at once, or late. */
  #sent(sequence: Sequence, finished: boolean): void {
    const { answerDelays, random } = this.#surroundings;
    const isFirst = sequence.outputTokens === 1;
    const { cachedTokens } = sequence;
    if (answerDelays === undefined) {
      this.#answer(isFirst, finished, cachedTokens);
      return;
    }
    const { meanMs, pauseShare, pauseMs } = answerDelays;
    const delayMs =
      random.exponential() * meanMs + (random.uniform() < pauseShare ? random.exponential() * pauseMs : 0);
    this.#seenMs = Math.max(this.#seenMs, this.#time.now() + delayMs);
    this.#time.at(this.#seenMs, () => this.#answer(isFirst, finished, cachedTokens));
  }

  #answer(isFirst: boolean, finished: boolean, cachedTokens: number): void {
    const exchange = this.exchange!;
    if (isFirst) {
      exchange.responseHeaders(
        Headers.from([
          [":status", "200"],
          ["content-type", "text/event-stream; charset=utf-8"],
        ]),
        false,
        { "envoy.lb": { "x-gateway-destination-endpoint-served": this.#target?.hostPort ?? "" } },
      );
    }
    const head = `data: {"id":"cmpl-${this.#request.index}","object":"text_completion","model":"${modelName}","choices":[`;
    let text = `${head}{"index":0,"text":" word","delta":{"content":" word"},"finish_reason":null}]}\n\n`;
    if (finished) text += `${this.#usage(head, cachedTokens)}data: [DONE]\n\n`;
    exchange.responseBody(utf8.encode(text), finished);
    if (finished) exchange.close("error");
  }

  /** The event with the token counts, if there is one. */
  #usage(head: string, cachedTokens: number): string {
    const { usage } = this.#surroundings;
    if (usage === "none") return "";
    const { promptTokens, output } = this.#request;
    const cached = usage === "full" ? `,"prompt_tokens_details":{"cached_tokens":${cachedTokens}}` : "";
    const counts =
      `"prompt_tokens":${promptTokens},"completion_tokens":${output.tokens},` +
      `"total_tokens":${promptTokens + output.tokens}${cached}`;
    return `${head}],"usage":{${counts}}}\n\n`;
  }
}
