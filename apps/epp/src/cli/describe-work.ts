import type { EffectiveConfig, GraphSource, PluginGraph } from "@pointsman/config";
import {
  AGENT_IDENTITY,
  type AttributeKey,
  KV_CACHE_USAGE,
  PREFIX_MATCH,
  RUNNING_REQUESTS_SIZE,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { requestWork } from "../process/request-work.ts";

const width = 16;

/** Who reads attributes beside plugins, where they are written anyway. */
const builtinReaders: readonly (readonly [AttributeKey<unknown>, string])[] = [
  [WAITING_QUEUE_SIZE, "pool gauges"],
  [RUNNING_REQUESTS_SIZE, "pool gauges"],
  [KV_CACHE_USAGE, "pool gauges"],
  [AGENT_IDENTITY, "fairness ids"],
  [PREFIX_MATCH.from(), "conditional decode"],
];

export interface DescribeWorkOptions {
  readonly refreshMetricsIntervalMs: number;
  /** Metrics of requests count as a reason to read bodies and answers. */
  readonly requestMetrics: boolean;
}

/** Says in lines what a configuration makes a picker do, for each request and for each endpoint, and because of whom. */
export async function describeWork(
  graph: PluginGraph,
  effective: EffectiveConfig,
  options: DescribeWorkOptions,
): Promise<readonly string[]> {
  const work = requestWork(graph, { requestMetrics: options.requestMetrics, rewrites: false, eviction: false });
  const flows = await dataFlows(graph, effective);
  return [
    ...entry(
      "request bodies",
      work.body.length === 0 ? ["passed unread: nobody reads them"] : because("read", work.body),
    ),
    ...entry(
      "answers",
      work.response.length === 0
        ? ["skipped: nobody reads them, but those whose request had its model renamed"]
        : because("seen", work.response),
    ),
    ...entry(
      "metrics",
      graph.sources.length === 0
        ? ["not scraped: nobody reads them; the pool gauges have no averages"]
        : graph.sources.flatMap((source) => describeSource(source, options.refreshMetricsIntervalMs, flows)),
    ),
    ...entry("read by nobody", unread(graph, flows)),
  ];
}

/** Who writes and who reads an attribute. */
interface Flow {
  readonly writers: string[];
  readonly readers: string[];
}

function entry(title: string, lines: readonly string[]): readonly string[] {
  return lines.map((line, i) => `${(i === 0 ? title : "").padEnd(width)}${line}`);
}

function because(verb: string, reasons: readonly string[]): readonly string[] {
  return reasons.map((reason, i) => (i === 0 ? `${verb} for ${reason}` : `${" ".repeat(verb.length)} for ${reason}`));
}

function describeSource(
  { source, extractors }: GraphSource,
  refreshMetricsIntervalMs: number,
  flows: ReadonlyMap<string, Flow>,
): readonly string[] {
  const intervalMs = source.instance.intervalMs ?? refreshMetricsIntervalMs;
  const lines = [`${source.name}: a page of each endpoint every ${intervalMs} ms`];
  for (const { name, instance } of extractors) {
    const { series } = instance;
    lines.push(
      series === undefined
        ? `  ${name}`
        : `  ${name}: ${series.length} series of the default engine: ${series.join(", ")}`,
    );
    for (const [id, { writers, readers }] of flows) {
      if (!writers.includes(name) || readers.length === 0) continue;
      lines.push(`    ${id}: for ${readers.join(", ")}`);
    }
  }
  return lines;
}

/**
 * Attributes without a reader, by writer. A plugin may write for itself, so one is named only if nobody reads anything of
 * it; extractors write for others only.
 */
function unread(graph: PluginGraph, flows: ReadonlyMap<string, Flow>): readonly string[] {
  const lines: string[] = [];
  for (const [name, { kind }] of graph.definitions) {
    const written = [...flows].filter(([, { writers }]) => writers.includes(name));
    const idle = written.filter(([, { readers }]) => readers.length === 0);
    if (idle.length === 0 || (kind !== "extractor" && idle.length < written.length)) continue;
    lines.push(`what ${name} writes of ${idle.map(([id]) => id).join(", ")}`);
  }
  return lines;
}

async function dataFlows(graph: PluginGraph, effective: EffectiveConfig): Promise<ReadonlyMap<string, Flow>> {
  const flows = new Map<string, Flow>();
  const flow = (id: string): Flow => {
    let found = flows.get(id);
    if (found === undefined) {
      found = { writers: [], readers: [] };
      flows.set(id, found);
    }
    return found;
  };
  const parameters = new Map(effective.plugins.map((plugin) => [plugin.name, plugin.parameters]));
  const read = new Set(graph.consumed.map(({ id }) => id));
  for (const [name, definition] of graph.definitions) {
    // They passed the same check when the configuration was loaded.
    const checked = await definition.params?.["~standard"].validate(parameters.get(name) ?? {});
    const params = checked === undefined || checked.issues !== undefined ? undefined : checked.value;
    for (const { id } of definition.produces?.(params, name) ?? []) flow(id).writers.push(name);
    const { required = [], optional = [] } = definition.consumes?.(params) ?? {};
    for (const { id } of [...required, ...optional]) {
      if (read.has(id)) flow(id).readers.push(name);
    }
  }
  for (const [{ id }, reader] of builtinReaders) {
    const found = flows.get(id);
    if (found !== undefined && found.writers.length > 0) found.readers.push(reader);
  }
  for (const [id, { writers }] of flows) if (writers.length === 0) flows.delete(id);
  return flows;
}
