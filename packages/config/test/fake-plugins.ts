import {
  type AnyPluginDefinition,
  type AttributeKey,
  type Consumes,
  defineAttribute,
  definePlugin,
  KV_CACHE_USAGE,
  noMetrics,
  type ParamsSchema,
  type PluginHost,
  type PluginInstance,
  type PluginKind,
  type PluginStability,
  PREFIX_MATCH,
  type Role,
  RUNNING_REQUESTS_SIZE,
  SESSION_ID,
  silentLogger,
  TOKENIZED_PROMPT,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { FakeClock } from "@pointsman/testkit";
import { z } from "zod";
import {
  formatProblem,
  type LoadOutcome,
  loadConfig,
  type PluginGraph,
  type PluginResolver,
  type ResolveFailure,
} from "../src/index.ts";

// Parameters of the fakes come from the schema given with them, so what a fake assumes about their type is true.
type Params = Readonly<Record<string, unknown>>;

/** What a fake does; everything else has a default. */
export interface FakeOptions {
  readonly roles?: readonly Role[];
  readonly params?: z.ZodType;
  readonly stability?: PluginStability;
  readonly aliases?: readonly string[];
  readonly consumes?: (params: Params) => Consumes;
  readonly produces?: (params: Params, name: string) => readonly AttributeKey<unknown>[];
  readonly references?: (params: Params) => readonly { readonly path: readonly string[]; readonly name: string }[];
  readonly payload?: string;
  readonly claims?: readonly string[];
  readonly checkProfiles?: (profiles: readonly string[]) => string | undefined;
  readonly onCreate?: (params: Params, host: PluginHost) => void;
}

const methodOfRole: { readonly [R in Role]: string } = {
  filter: "filter",
  scorer: "score",
  picker: "pick",
  profileHandler: "pickProfiles",
  disaggregationDecider: "disaggregate",
  requestHeaderProcessor: "requestHeaders",
  screener: "screen",
  dataProducer: "produce",
  admitter: "admitRequest",
  preRequest: "preRequest",
  responseHeaderProcessor: "responseHeaders",
  responseBodyProcessor: "responseBody",
  saturationDetector: "saturation",
  parser: "parseRequest",
  discovery: "startDiscovery",
  endpointListener: "endpointChanged",
  kubernetesListener: "resourceChanged",
  pollingSource: "pollTarget",
  pollingExtractor: "extract",
};

const rolesOfKind: { readonly [K in PluginKind]: readonly Role[] } = {
  filter: ["filter"],
  scorer: ["scorer"],
  picker: ["picker"],
  "profile-handler": ["profileHandler"],
  screener: ["screener"],
  producer: ["dataProducer"],
  admitter: ["admitter"],
  parser: ["parser"],
  discovery: ["discovery"],
  source: ["pollingSource"],
  extractor: ["pollingExtractor"],
  "saturation-detector": ["saturationDetector"],
  decider: ["disaggregationDecider"],
  "response-processor": ["responseBodyProcessor"],
  policy: [],
};

/** A set of fake plugins that note when they are created and disposed. */
export class FakePlugins implements PluginResolver {
  /** `create x`, `dispose x`, in order. */
  readonly events: string[] = [];
  /** Types asked for, in order, each time. */
  readonly resolved: string[] = [];
  readonly clock: FakeClock = new FakeClock();
  readonly failures: Map<string, ResolveFailure> = new Map();
  readonly known: Map<string, { readonly packageName: string; readonly type: string }> = new Map();
  readonly #definitions = new Map<string, AnyPluginDefinition>();

  /** Declares a type. */
  add(type: string, kind: PluginKind, options: FakeOptions = {}): this {
    const roles = options.roles ?? rolesOfKind[kind];
    const definition: AnyPluginDefinition = definePlugin<Params>({
      type,
      kind,
      stability: options.stability ?? "beta",
      summary: `Fake ${type}.`,
      ...(options.aliases === undefined ? {} : { aliases: options.aliases }),
      // zod schemas carry the JSON Schema companion; its type does not say that it is always there.
      ...(options.params === undefined ? {} : { params: options.params as unknown as ParamsSchema<Params> }),
      ...(options.consumes === undefined ? {} : { consumes: options.consumes }),
      ...(options.produces === undefined ? {} : { produces: options.produces }),
      ...(options.references === undefined ? {} : { references: options.references }),
      create: (params, host) => {
        options.onCreate?.(params, host);
        this.events.push(`create ${host.name}`);
        const instance: Record<string, unknown> = {
          dispose: () => {
            this.events.push(`dispose ${host.name}`);
          },
          params,
          payload: options.payload ?? "prometheus",
          claims: options.claims ?? [type],
          checkProfiles: options.checkProfiles,
        };
        for (const role of roles) instance[methodOfRole[role]] = () => undefined;
        // The loader looks at which methods there are and calls none but those given above.
        return instance as PluginInstance;
      },
    });
    return this.addDefinition(definition);
  }

  addDefinition(definition: AnyPluginDefinition): this {
    for (const name of [definition.type, ...(definition.aliases ?? [])]) {
      this.#definitions.set(name, definition);
      this.known.set(name, { packageName: `@pointsman/${definition.type}`, type: definition.type });
    }
    return this;
  }

  /** Makes a type unknown. */
  remove(...types: readonly string[]): this {
    for (const type of types) {
      this.#definitions.delete(type);
      this.known.delete(type);
    }
    return this;
  }

  get definitions(): readonly AnyPluginDefinition[] {
    return [...new Set(this.#definitions.values())];
  }

  async resolve(type: string): Promise<AnyPluginDefinition | ResolveFailure> {
    this.resolved.push(type);
    return this.failures.get(type) ?? this.#definitions.get(type) ?? { kind: "unknown", message: "no such package" };
  }

  /** Loads a configuration text with these plugins. */
  load(
    text: string | undefined,
    options: { readonly allowExperimental?: boolean; readonly replaces?: PluginGraph } = {},
  ): Promise<LoadOutcome> {
    const input = text === undefined ? undefined : { text, file: "epp.yaml", baseDirectory: "/etc/epp" };
    return loadConfig(input, {
      resolver: this,
      allowExperimental: options.allowExperimental ?? false,
      ...(options.replaces === undefined ? {} : { replaces: options.replaces }),
      environment: {
        logger: silentLogger,
        metrics: noMetrics,
        clock: this.clock,
        stalenessMs: 5000,
        random: () => 0.5,
        endpoints: () => [],
        timersFor: () => this.clock.timers,
      },
    });
  }
}

/** Each problem as `line:column code`. */
export function places(outcome: LoadOutcome): readonly string[] {
  return outcome.problems.map(({ line, column, code }) => `${line}:${column} ${code.replace("EPP_CONFIG_", "")}`);
}

/** Problems as people see them, for messages of failing tests. */
export function report(outcome: LoadOutcome): string {
  return outcome.problems.map(formatProblem).join("\n");
}

/** Requests and tokens in flight, as a family without a default producer. */
export const IN_FLIGHT_LOAD: AttributeKey<number> = defineAttribute<number>({
  dataType: "InFlightLoadDataKey",
  scope: "endpoint",
  defaultProducer: "inflight-load-producer",
  autoCreate: true,
}).from();

export const UNCACHED_TOKENS: AttributeKey<number> = defineAttribute<number>({
  dataType: "UncachedRequestTokensDataKey",
  scope: "endpoint",
  defaultProducer: "inflight-load-producer",
}).from();

const prefixProducerName = z.strictObject({ prefixMatchInfoProducerName: z.string().default("") });
const prefixFrom = (params: Params): AttributeKey<unknown> =>
  PREFIX_MATCH.from(String(params["prefixMatchInfoProducerName"]));

/** Fakes with the type names, kinds and data needs of the plugins that configurations usually name. */
export function usualPlugins(): FakePlugins {
  const fakes = new FakePlugins();
  const reads = (...required: readonly AttributeKey<unknown>[]): FakeOptions => ({ consumes: () => ({ required }) });
  const maxNumOfEndpoints = { params: z.strictObject({ maxNumOfEndpoints: z.int().min(1).default(1) }) };
  return fakes
    .add("queue-scorer", "scorer", reads(WAITING_QUEUE_SIZE))
    .add("kv-cache-utilization-scorer", "scorer", reads(KV_CACHE_USAGE))
    .add("running-requests-size-scorer", "scorer", reads(RUNNING_REQUESTS_SIZE))
    .add("prefix-cache-scorer", "scorer", {
      params: prefixProducerName.extend({
        matchLengthWeight: z.number().min(0).max(1).default(0),
        matchLengthScaleTokens: z.int().gt(0).meta({ unit: "tokens" }).default(8192),
      }),
      consumes: (params) => ({ required: [prefixFrom(params)] }),
    })
    .add("no-hit-lru-scorer", "scorer", {
      roles: ["scorer", "preRequest"],
      params: prefixProducerName.extend({ lruSize: z.int().gt(0).default(1024) }),
      consumes: (params) => ({ required: [prefixFrom(params)] }),
    })
    .add("active-request-scorer", "scorer", reads(IN_FLIGHT_LOAD))
    .add("token-load-scorer", "scorer", reads(IN_FLIGHT_LOAD, UNCACHED_TOKENS))
    .add("label-selector-filter", "filter", {
      aliases: ["by-label-selector"],
      params: z.strictObject({ matchLabels: z.record(z.string(), z.string()).optional() }),
    })
    .add("prefill-filter", "filter")
    .add("decode-filter", "filter")
    .add("context-length-aware", "filter", { roles: ["filter", "scorer"] })
    .add("max-score-picker", "picker", maxNumOfEndpoints)
    .add("random-picker", "picker", maxNumOfEndpoints)
    .add("weighted-random-picker", "picker", maxNumOfEndpoints)
    .add("single-profile-handler", "profile-handler", {
      checkProfiles: (profiles) => (profiles.length === 1 ? undefined : `it runs one profile, not ${profiles.length}.`),
    })
    .add("disagg-profile-handler", "profile-handler", {
      params: z.strictObject({ deciders: z.strictObject({ prefill: z.string().optional() }).optional() }),
      references: (params) => {
        const { prefill } = (params["deciders"] ?? {}) as { readonly prefill?: string };
        return prefill === undefined ? [] : [{ path: ["deciders", "prefill"], name: prefill }];
      },
    })
    .add("prefix-based-pd-decider", "policy", {
      params: z.strictObject({ nonCachedTokens: z.int().min(0).meta({ unit: "tokens" }).default(0) }),
    })
    .add("approx-prefix-cache-producer", "producer", {
      params: z.strictObject({
        autoTune: z.boolean().default(true),
        blockSizeTokens: z.int().gt(0).meta({ unit: "tokens" }).default(64),
        lruCapacityPerServer: z.int().gt(0).default(31250),
        maxPrefixTokensToMatch: z.int().min(0).default(0),
      }),
      consumes: () => ({ required: [TOKENIZED_PROMPT.from()] }),
      produces: (_, name) => [PREFIX_MATCH.from(name)],
    })
    .add("precise-prefix-cache-producer", "producer", {
      roles: ["dataProducer", "endpointListener"],
      params: z.looseObject({ speculativeIndexing: z.boolean().default(false) }),
      consumes: () => ({ required: [TOKENIZED_PROMPT.from()] }),
      produces: (_, name) => [PREFIX_MATCH.from(name)],
    })
    .add("token-producer", "producer", {
      params: z.strictObject({
        modelName: z.string().optional(),
        vllm: z.strictObject({ url: z.string() }).optional(),
      }),
      produces: () => [TOKENIZED_PROMPT.from()],
    })
    .add("inflight-load-producer", "producer", {
      roles: ["dataProducer", "preRequest", "responseBodyProcessor"],
      produces: () => [IN_FLIGHT_LOAD, UNCACHED_TOKENS],
    })
    .add("session-id-producer", "producer", {
      roles: ["requestHeaderProcessor"],
      params: z.strictObject({ header: z.string() }),
      produces: (_, name) => [SESSION_ID.from(name)],
    })
    .add("openai-parser", "parser")
    .add("anthropic-parser", "parser")
    .add("vllmhttp-parser", "parser")
    .add("passthrough-parser", "parser", { claims: [] })
    .add("vertexai-parser", "parser")
    .add("metrics-data-source", "source", { params: z.strictObject({ path: z.string().default("/metrics") }) })
    .add("core-metrics-extractor", "extractor", {
      produces: () => [WAITING_QUEUE_SIZE, KV_CACHE_USAGE, RUNNING_REQUESTS_SIZE],
    })
    .add("endpoint-notification-source", "source", { roles: [] })
    .add("file-discovery", "discovery", {
      params: z.strictObject({ path: z.string(), watchFile: z.boolean().default(false) }),
    })
    .add("utilization-detector", "saturation-detector", {
      roles: ["saturationDetector", "filter"],
      params: z.strictObject({
        queueDepthThreshold: z.int().min(0).default(5),
        metricsStalenessThreshold: z
          .string()
          .regex(/^\d+ms$/)
          .transform((text) => Number.parseInt(text, 10))
          .default(200),
      }),
      consumes: () => ({ optional: [WAITING_QUEUE_SIZE, KV_CACHE_USAGE] }),
    })
    .add("concurrency-detector", "saturation-detector", {
      roles: ["saturationDetector", "filter"],
      params: z.strictObject({ maxConcurrency: z.int().gt(0).default(100) }),
      consumes: () => ({ required: [IN_FLIGHT_LOAD] }),
    });
}
