import { type AttributeKey, internAttribute } from "../attributes/attribute-key.ts";
import type { Clock, Timers } from "../clock.ts";
import { type Endpoint, writeAttribute } from "../endpoint.ts";
import { EppError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { MetricsRegistry } from "../metrics.ts";
import type {
  AnyPluginDefinition,
  EndpointReader,
  EndpointWriter,
  PluginHost,
  PluginInstance,
  RequestReader,
  RequestWriter,
} from "./plugin.ts";

/** What a host passes on from the process to one plugin instance. */
export interface HostEnvironment {
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly baseDirectory: string;
  /** Attribute values older than this count as unknown for `fresh`. */
  readonly stalenessMs: number;
  random(): number;
  endpoints(): readonly Endpoint[];
  plugin(name: string): PluginInstance | undefined;
}

/** Makes the host of one plugin instance. Access to attributes is limited to what the definition declares for `params`. */
export function createHost(
  definition: AnyPluginDefinition,
  name: string,
  params: unknown,
  environment: HostEnvironment,
): PluginHost {
  const consumes = definition.consumes?.(params) ?? {};
  const produced = new Set((definition.produces?.(params, name) ?? []).map((key) => key.id));
  const readable = new Set(produced);
  for (const key of consumes.required ?? []) readable.add(key.id);
  for (const key of consumes.optional ?? []) readable.add(key.id);

  const violations = environment.metrics.counter({
    name: "llm_d_epp_plugin_data_scope_violations_total",
    help: "Attributes that a plugin asked for without declaring them, each of which was refused.",
    labelNames: ["extension_point", "plugin_type", "plugin_name", "access"],
  });
  const check = (allowed: ReadonlySet<string>, key: AttributeKey<unknown>, verb: "read" | "write"): void => {
    if (!allowed.has(key.id)) {
      violations.labels("", definition.type, name, verb).inc();
      throw new EppError(
        "EPP_PLUGIN_UNDECLARED_ATTRIBUTE",
        `plugin type "${definition.type}" asks to ${verb} ${key.id} and does not declare it in ` +
          (verb === "read" ? "consumes or produces" : "produces"),
      );
    }
  };

  const { stalenessMs } = environment;
  return {
    name,
    type: definition.type,
    logger: environment.logger,
    metrics: environment.metrics,
    clock: environment.clock,
    timers: environment.timers,
    baseDirectory: environment.baseDirectory,
    random: environment.random,
    endpoints: environment.endpoints,
    plugin: environment.plugin,
    endpointReader<T>(key: AttributeKey<T>): EndpointReader<T> {
      check(readable, key, "read");
      const { index } = internAttribute(key);
      // Whatever stands at a key's index was written under that key.
      return {
        get: (endpoint) => endpoint.values[index] as T | undefined,
        fresh: (endpoint, nowMs) =>
          nowMs - (endpoint.writtenAtMs[index] ?? Number.NEGATIVE_INFINITY) <= stalenessMs
            ? (endpoint.values[index] as T | undefined)
            : undefined,
        ageMs: (endpoint, nowMs) => {
          const at = endpoint.writtenAtMs[index];
          return at === undefined || at === Number.NEGATIVE_INFINITY ? undefined : nowMs - at;
        },
      };
    },
    endpointWriter<T>(key: AttributeKey<T>): EndpointWriter<T> {
      check(produced, key, "write");
      const own = internAttribute(key);
      return { set: (endpoint, value, nowMs) => writeAttribute(endpoint, own, value, nowMs) };
    },
    requestReader<T>(key: AttributeKey<T>): RequestReader<T> {
      check(readable, key, "read");
      const own = internAttribute(key);
      return { get: (request) => request.attributes.get(own) };
    },
    requestWriter<T>(key: AttributeKey<T>): RequestWriter<T> {
      check(produced, key, "write");
      const own = internAttribute(key);
      return {
        set: (request, value) => {
          if (!request.isLate(name)) request.attributes.set(own, value);
        },
      };
    },
  };
}
