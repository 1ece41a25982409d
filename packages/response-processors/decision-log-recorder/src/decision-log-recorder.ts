import { resolve } from "node:path";
import {
  type AnyPluginDefinition,
  definePlugin,
  errorText,
  type InferenceRequest,
  type ResponseBodyEvent,
  SESSION_ID,
  TOKENIZED_PROMPT,
} from "@pointsman/core";
import { type DecisionLogRecorderParams, decisionLogRecorderParams } from "./params.ts";
import { PromptHashing } from "./prompt-hashes.ts";
import { RotatingFile } from "./rotating-file.ts";

/** What became of requests that could be lines. */
const outcomes = ["written", "queue-full", "write-failed", "no-prompt", "prompt-too-long", "no-output"] as const;
type Outcome = (typeof outcomes)[number];

const maxModelChars = 256;

/** What is known of a request from its decision on. */
interface Decided {
  readonly line: Readonly<Record<string, unknown>>;
  firstByteMs: number | undefined;
}

export const decisionLogRecorder: AnyPluginDefinition = definePlugin<DecisionLogRecorderParams>({
  type: "decision-log-recorder",
  kind: "response-processor",
  stability: "alpha",
  summary: "Writes one JSON line for each finished request, which `epp replay` reads.",
  params: decisionLogRecorderParams,
  consumes: () => ({ required: [TOKENIZED_PROMPT.from()], optional: [SESSION_ID.from()] }),
  readsBody: ["request", "response"],
  create({ path, maxBytes, blockTokens, salt }, host) {
    const { clock, logger } = host;
    const prompts = host.requestReader(TOKENIZED_PROMPT.from());
    const sessions = host.requestReader(SESSION_ID.from());
    const hashing = new PromptHashing(blockTokens, salt);
    const decided = new WeakMap<InferenceRequest, Decided>();
    const counts = new Map<Outcome, number>(outcomes.map((outcome) => [outcome, 0]));
    const family = host.metrics.counter({
      name: "llm_d_epp_decision_log_requests_total",
      help: "Finished requests by what became of their line in the decision log.",
      labelNames: ["plugin_name", "outcome"],
    });
    const counters = new Map(outcomes.map((outcome) => [outcome, family.labels(host.name, outcome)]));
    const count = (outcome: Outcome, by = 1): void => {
      counts.set(outcome, counts.get(outcome)! + by);
      counters.get(outcome)?.inc(by);
    };

    const target = resolve(host.baseDirectory, path);
    let failing = false;
    const file = new RotatingFile(target, maxBytes, {
      written(lines) {
        count("written", lines);
        if (failing) logger.info({ path: target }, "the decision log is written again");
        failing = false;
      },
      failed(lines, error) {
        count("write-failed", lines);
        if (!failing) logger.warn({ path: target, error: errorText(error) }, "the decision log cannot be written");
        failing = true;
      },
    });

    return {
      preRequest(request, result) {
        const tokenized = prompts.get(request);
        if (tokenized === undefined) {
          count("no-prompt");
          return undefined;
        }
        const hashes = hashing.hash(tokenized.prompts, request.targetModel, request.body.cacheSalt);
        if (hashes === undefined) {
          count("prompt-too-long");
          return undefined;
        }
        const sessionId = sessions.get(request);
        const endpoint = result.profiles.get(result.primaryProfile)?.targets[0]?.hostPort;
        const ageMs = clock.now() - request.receivedAtMs;
        decided.set(request, {
          line: {
            timestamp: Math.round(clock.wallTime() - ageMs),
            input_length: hashes.promptTokens,
            ...(tokenized.estimated ? { input_length_estimated: true } : {}),
            hash_ids: hashes.ids,
            hash_block_tokens: blockTokens,
            ...(sessionId === undefined ? {} : { session: hashing.sessionOf(sessionId) }),
            model: request.incomingModel.slice(0, maxModelChars),
            endpoint,
          },
          firstByteMs: undefined,
        });
        return undefined;
      },

      responseBody(request, _result, event) {
        const entry = decided.get(request);
        if (entry === undefined) return;
        if (request.body.stream && event.chunkBytes > 0) entry.firstByteMs ??= clock.now();
        if (!event.endOfStream) return;
        decided.delete(request);
        const answer = answerFields(request, event);
        if (answer === undefined) {
          count("no-output");
          return;
        }
        const since = (ms: number): number => Math.round((ms - request.receivedAtMs) * 1000) / 1000;
        const line = {
          ...entry.line,
          ...answer,
          ...(entry.firstByteMs === undefined ? {} : { ttft_ms: since(entry.firstByteMs) }),
          e2e_ms: since(clock.now()),
        };
        if (!file.append(`${JSON.stringify(line)}\n`)) count("queue-full");
      },

      dispose: () => file.close(),

      dumpState: () => ({ path: target, queuedBytes: file.queuedBytes, requests: Object.fromEntries(counts) }),
    };
  },
});

/** What an answer says about itself; `undefined` where it has no length, or none that is known. */
function answerFields(request: InferenceRequest, event: ResponseBodyEvent): object | undefined {
  const { usage, terminationCause } = event;
  const counted = usage?.completionTokens;
  const outputTokens = counted ?? (request.body.stream ? event.streamedEvents : 0);
  if (outputTokens < 1) return undefined;
  return {
    output_length: outputTokens,
    // An engine sends about one event for each token.
    ...(counted === undefined ? { output_length_estimated: true } : {}),
    ...(usage?.promptTokens === undefined ? {} : { prompt_tokens: usage.promptTokens }),
    ...(usage?.cachedTokens === undefined ? {} : { cached_tokens: usage.cachedTokens }),
    ...(terminationCause === undefined || terminationCause === "natural" ? {} : { ended_by: terminationCause }),
  };
}
