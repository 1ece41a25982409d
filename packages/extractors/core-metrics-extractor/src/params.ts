import { type MetricSpec, MetricSpecError, parseMetricSpec } from "@pointsman/core/prometheus";
import { z } from "zod";
import { builtInEngines } from "./built-in-engines.ts";
import { builtInDataTypes } from "./engine-signals.ts";

/** A metric whose value goes into an attribute of its own. */
export interface CustomMetric {
  readonly attributeKey: string;
  readonly spec: MetricSpec;
}

/** Which series of an engine's page hold which signal. A signal without a series is not read. */
export interface EngineConfig {
  readonly name: string;
  readonly queuedRequests?: MetricSpec | undefined;
  readonly runningRequests?: MetricSpec | undefined;
  readonly kvUsage?: MetricSpec | undefined;
  readonly lora?: MetricSpec | undefined;
  /** A series whose labels state block size and number of blocks. */
  readonly cacheInfo?: MetricSpec | undefined;
  readonly cacheBlockSizeLabel: string;
  readonly cacheNumBlocksLabel: string;
  /** Series whose values are block size and number of blocks. */
  readonly cacheBlockSize?: MetricSpec | undefined;
  readonly cacheNumBlocks?: MetricSpec | undefined;
  readonly customMetrics: readonly CustomMetric[];
}

export interface CoreMetricsExtractorParams {
  readonly engineLabelKey: string;
  readonly defaultEngine: string;
  /** The user's engines, then the built-in ones whose names the user has not taken. */
  readonly engines: readonly EngineConfig[];
}

/** In an engine label this name stands for `defaultEngine`. */
export const defaultEngineName = "default";

const spec = z.string({ error: "must be a metric such as name or name{label=value}" });
const notASpec = "must be a metric such as name or name{label=value}";

/** An optional spec: "" disables the signal. */
const optionalSpec = spec.optional().transform((text, context) => {
  const parsed = text === undefined ? undefined : parseMetricSpec(text);
  if (!(parsed instanceof MetricSpecError)) return parsed;
  context.addIssue(parsed.message);
  return z.NEVER;
});

const requiredSpec = spec.transform((text, context) => {
  const parsed = parseMetricSpec(text);
  if (parsed !== undefined && !(parsed instanceof MetricSpecError)) return parsed;
  context.addIssue(parsed === undefined ? notASpec : parsed.message);
  return z.NEVER;
});

const customMetric = z
  .strictObject({
    attributeKey: z
      .string()
      .min(1, "must not be empty")
      .refine((key) => !builtInDataTypes.has(key), "is the name of a built-in signal; choose another")
      .describe("Name of the attribute; consumers refer to it as `<attributeKey>/core-metrics-extractor`."),
    metricSpec: requiredSpec.describe("Series to read. Of several, the one with the latest timestamp, else the first."),
  })
  .transform(({ attributeKey, metricSpec }) => ({ attributeKey, spec: metricSpec }));

const customMetrics = z
  .array(customMetric)
  .default([])
  .superRefine((metrics, context) => {
    for (const [index, { attributeKey }] of metrics.entries()) {
      if (metrics.findIndex((other) => other.attributeKey === attributeKey) < index) {
        context.addIssue({
          code: "custom",
          message: `attribute ${JSON.stringify(attributeKey)} is given twice`,
          path: [index, "attributeKey"],
        });
      }
    }
  });

const engineConfig = z
  .strictObject({
    name: z
      .string()
      .min(1, "must not be empty")
      .refine((name) => name !== defaultEngineName, `"${defaultEngineName}" is reserved; choose another name`)
      .describe("Engine that the endpoint's label names. A built-in engine's name replaces that engine as a whole."),
    queuedRequestsSpec: optionalSpec.describe("Requests that wait. Several series are added up."),
    runningRequestsSpec: optionalSpec.describe("Requests that run. Several series are added up."),
    kvUsageSpec: optionalSpec.describe("Share of the KV cache in use, 0 to 1. Of several series, the mean."),
    loraSpec: optionalSpec.describe("Series that names LoRA adapters in its labels. The largest value is the latest."),
    cacheInfoSpec: optionalSpec.describe("Series that states block size and number of blocks in its labels."),
    cacheBlockSizeLabelName: z.string().min(1).default("block_size").describe("Label with the tokens in a block."),
    cacheNumBlocksLabelName: z.string().min(1).default("num_gpu_blocks").describe("Label with the number of blocks."),
    cacheBlockSizeSpec: optionalSpec.describe("Tokens in a block as a value; goes before the label."),
    cacheNumBlocksSpec: optionalSpec.describe("Number of blocks as a value; goes before the label."),
    customMetrics: customMetrics.describe("Further metrics, each into an attribute of its own."),
  })
  .transform(
    (config): EngineConfig => ({
      name: config.name,
      queuedRequests: config.queuedRequestsSpec,
      runningRequests: config.runningRequestsSpec,
      kvUsage: config.kvUsageSpec,
      lora: config.loraSpec,
      cacheInfo: config.cacheInfoSpec,
      cacheBlockSizeLabel: config.cacheBlockSizeLabelName,
      cacheNumBlocksLabel: config.cacheNumBlocksLabelName,
      cacheBlockSize: config.cacheBlockSizeSpec,
      cacheNumBlocks: config.cacheNumBlocksSpec,
      customMetrics: config.customMetrics,
    }),
  );

const engineConfigs = z
  .array(engineConfig)
  .default([])
  .superRefine((configs, context) => {
    for (const [index, { name }] of configs.entries()) {
      if (configs.findIndex((other) => other.name === name) < index) {
        context.addIssue({
          code: "custom",
          message: `engine ${JSON.stringify(name)} is given twice`,
          path: [index, "name"],
        });
      }
    }
  });

export const coreMetricsExtractorParams: z.ZodType<CoreMetricsExtractorParams> = z
  .strictObject({
    engineLabelKey: z
      .string()
      .min(1, "must not be empty")
      .default("llm-d.ai/engine-type")
      .describe("Endpoint label with the engine's name."),
    defaultEngine: z
      .string()
      .default("vllm")
      .describe("Engine of endpoints without that label, and of those whose label names no known engine."),
    engineConfigs: engineConfigs.describe("Engines beside or instead of the built-in ones."),
  })
  .transform(({ engineLabelKey, defaultEngine, engineConfigs: given }, context) => {
    const names = new Set(given.map(({ name }) => name));
    const engines = [...given, ...builtInEngines.filter(({ name }) => !names.has(name))];
    if (engines.some(({ name }) => name === defaultEngine)) return { engineLabelKey, defaultEngine, engines };
    const known = engines.map(({ name }) => `"${name}"`).join(", ");
    context.addIssue({ code: "custom", message: `is no known engine; known are ${known}`, path: ["defaultEngine"] });
    return z.NEVER;
  });
