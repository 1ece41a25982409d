import {
  type AdmissionController,
  admitAll,
  DecisionLog,
  type Endpoint,
  hasRole,
  type Logger,
  type MetricsRegistry,
  type ModelRewrites,
  type NamedPlugin,
  noMetrics,
  type Objectives,
  type Parser,
  ParserSelection,
  PluginCalls,
  type PluginInstance,
  type ProfileHandler,
  RequestControl,
  type RequestControlOptions,
  RequestError,
  RequestMetrics,
  type Role,
  type Roles,
  type Router,
  Scheduler,
  type SchedulingProfile,
  silentLogger,
} from "@pointsman/core";
import { FakeClock } from "./fake-clock.ts";

/** A plugin instance under a name. */
export function named<I>(instance: I, name: string = "plugin"): NamedPlugin<I> {
  return { name, type: name, instance };
}

/**
 * A parser for tests: the body is JSON with optional `model` and `stream`; anything else is a bad request. Usage is
 * taken from an answer that is one JSON object with `usage`.
 */
export const jsonTestParser: Parser = {
  claims: ["chat/completions", "completions"],
  appProtocols: [],
  parseRequest(_path, _headers, body) {
    let parsed: { model?: string; stream?: boolean };
    const text = Buffer.from(body).toString();
    try {
      parsed = JSON.parse(text) as typeof parsed;
    } catch {
      return new RequestError("BadRequest", "error unmarshaling request bodyMap: not JSON");
    }
    return {
      model: parsed.model,
      stream: parsed.stream === true,
      maxOutputTokens: undefined,
      cacheSalt: undefined,
      promptSegments: () => [],
      promptTokenIds: () => undefined,
      rewriteModel: (model) => [Buffer.from(text.replace(JSON.stringify(parsed.model ?? ""), JSON.stringify(model)))],
    };
  },
  responseReader() {
    const held: Uint8Array[] = [];
    let usage:
      | { promptTokens: number; completionTokens: number; totalTokens: number; cachedTokens: undefined }
      | undefined;
    return {
      chunk(bytes, endOfStream) {
        held.push(bytes);
        if (endOfStream) {
          try {
            const answer = JSON.parse(Buffer.concat(held).toString()) as { usage?: Record<string, number> };
            if (answer.usage !== undefined) {
              usage = {
                promptTokens: answer.usage["prompt_tokens"] ?? 0,
                completionTokens: answer.usage["completion_tokens"] ?? 0,
                totalTokens: answer.usage["total_tokens"] ?? 0,
                cachedTokens: undefined,
              };
            }
          } catch {
            // Not every answer is JSON.
          }
        }
        return bytes;
      },
      get usage() {
        return usage;
      },
      events: 0,
    };
  },
};

const firstEndpoint: NamedPlugin<PluginInstance> = named({ pick: (_request, endpoints) => endpoints }, "first-picker");

const onlyProfile: NamedPlugin<ProfileHandler> = named(
  {
    pickProfiles: (_request, profiles, results) => profiles.filter((profile) => !results.has(profile)),
    processResults: (_request, results) => {
      const [entry] = results;
      if (entry === undefined) return new RequestError("Internal", "no result");
      const [name, result] = entry;
      return result instanceof RequestError ? result : { primaryProfile: name, profiles: new Map([[name, result]]) };
    },
  },
  "only-profile-handler",
);

export interface RouterOptions {
  readonly endpoints?: readonly Endpoint[] | (() => readonly Endpoint[]);
  /** Instances with request-level roles; filters, scorers and pickers among them form the one profile. */
  readonly plugins?: readonly NamedPlugin[];
  readonly parsers?: readonly NamedPlugin<Parser>[];
  readonly admission?: AdmissionController;
  readonly objectives?: Objectives;
  readonly rewrites?: ModelRewrites;
  readonly clock?: FakeClock;
  readonly logger?: Logger;
  readonly metrics?: MetricsRegistry;
  readonly maxRequestBodyBytes?: number;
  readonly emitScores?: boolean;
  readonly decisionLogSize?: number;
  /** Hears of finished decisions, whose records then carry summaries of large pools. */
  readonly onDecision?: NonNullable<RequestControlOptions["onDecision"]>;
}

/** A router with the real request control and scheduler, and its decision log. Without plugins, the first endpoint wins. */
export function buildRouter(options: RouterOptions = {}): {
  readonly router: Router;
  readonly decisions: DecisionLog;
  readonly clock: FakeClock;
} {
  const clock = options.clock ?? new FakeClock();
  const logger = options.logger ?? silentLogger;
  const metrics = options.metrics ?? noMetrics;
  const calls = new PluginCalls(metrics, logger);
  const plugins = options.plugins ?? [];
  const withRole = <R extends Role>(role: R): NamedPlugin<Roles[R]>[] =>
    plugins.flatMap(({ name, type, instance }) => (hasRole(instance, role) ? [{ name, type, instance }] : []));
  const given = options.endpoints ?? [];
  const endpoints = typeof given === "function" ? given : () => given;
  const picker = withRole("picker")[0] ?? firstEndpoint;
  const profile: SchedulingProfile = {
    name: "default",
    filters: withRole("filter"),
    scorers: withRole("scorer").map((plugin) => ({ plugin, weight: 1 })),
    // Either found by its role or the picker above.
    picker: picker as SchedulingProfile["picker"],
  };
  const { onDecision } = options;
  const decisions = new DecisionLog(options.decisionLogSize ?? 16, clock, onDecision !== undefined);
  const control = new RequestControl({
    scheduler: new Scheduler({
      profiles: [profile],
      profileHandler: withRole("profileHandler")[0] ?? onlyProfile,
      calls,
      clock,
      metrics,
    }),
    endpoints,
    requestHeaderProcessors: withRole("requestHeaderProcessor"),
    screeners: withRole("screener"),
    producers: [withRole("dataProducer")],
    admitters: withRole("admitter"),
    preRequests: withRole("preRequest"),
    admission: options.admission ?? admitAll,
    ...(options.objectives === undefined ? {} : { objectives: options.objectives }),
    ...(options.rewrites === undefined ? {} : { rewrites: options.rewrites }),
    ignoreSubsetHint: false,
    recordedSignals: [],
    decisions,
    ...(onDecision === undefined ? {} : { onDecision }),
    calls,
    clock,
    timers: clock.timers,
  });
  let ids = 0;
  return {
    decisions,
    clock,
    router: {
      control,
      parsers: new ParserSelection(options.parsers ?? [named(jsonTestParser, "json-test-parser")]),
      responseHeaderProcessors: withRole("responseHeaderProcessor"),
      responseBodyProcessors: withRole("responseBodyProcessor"),
      metrics: new RequestMetrics(metrics),
      calls,
      clock,
      logger,
      random: () => 0,
      newRequestId: () => `generated-${++ids}`,
      maxRequestBodyBytes: options.maxRequestBodyBytes ?? 1024 * 1024,
      emitScores: options.emitScores ?? false,
    },
  };
}
