import {
  BoundedValues,
  type Counter,
  type InferenceModelRewrite,
  type Logger,
  type MetricFamily,
  type MetricsRegistry,
  type ModelRewrites,
  type RewriteChoice,
} from "@pointsman/core";
import { drawTarget, RewriteRules } from "./rewrite-rules.ts";

/** Rewrites known at once; further ones are left out. */
export const maxRewrites: number = 10_000;

export interface RewriteStoreOptions {
  /** Uniform in [0, 1). */
  random(): number;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
}

/** A bound series of the decisions metric with its label values. */
interface DecisionSeries {
  readonly labels: readonly [rewrite: string, model: string, target: string];
  readonly counter: Counter;
}

/**
 * The InferenceModelRewrites of a pool by name, and the choice of a target.
 *
 * Whoever finds them writes through `set`, `delete` or `replaceAll`; all names are of one namespace. Cost of `choose`:
 * two look-ups and a random number; after a change, the rules are put in order once.
 */
export class RewriteStore implements ModelRewrites {
  readonly #rewrites: Map<string, InferenceModelRewrite> = new Map();
  readonly #options: RewriteStoreOptions;
  readonly #decisions: MetricFamily<Counter>;
  readonly #series: Map<string, Map<string, DecisionSeries>> = new Map();
  readonly #models: BoundedValues = new BoundedValues(1000);
  #rules: RewriteRules | undefined;
  #isFull = false;

  constructor(options: RewriteStoreOptions) {
    this.#options = options;
    this.#decisions = options.metrics.counter({
      name: "llm_d_epp_model_rewrite_decisions_total",
      help: "Requests whose model a rewrite rule chose.",
      labelNames: ["model_rewrite_name", "model_name", "target_model"],
    });
  }

  get size(): number {
    return this.#rewrites.size;
  }

  get isEmpty(): boolean {
    return this.#rewrites.size === 0;
  }

  choose(incomingModel: string): RewriteChoice | undefined {
    if (this.#rewrites.size === 0) return undefined;
    const placed = this.#ordered().of(incomingModel);
    if (placed === undefined) return undefined;
    const targetModel = drawTarget(placed.rule.targets, this.#options.random);
    this.#count(placed.rewrite, incomingModel, targetModel);
    return { rewrite: placed.rewrite, targetModel };
  }

  names(model: string): boolean {
    return this.#rewrites.size > 0 && this.#ordered().names(model);
  }

  set(rewrite: InferenceModelRewrite): void {
    this.#add(rewrite);
    this.#rules = undefined;
  }

  /** Unknown names are ignored. The series of its decisions leave the metrics page. */
  delete(name: string): void {
    if (!this.#rewrites.delete(name)) return;
    this.#isFull = false;
    this.#rules = undefined;
    this.#forget(name);
  }

  /** Makes these the only ones. Of several with one name the last counts. */
  replaceAll(rewrites: readonly InferenceModelRewrite[]): void {
    this.#rewrites.clear();
    this.#isFull = false;
    this.#rules = undefined;
    for (const rewrite of rewrites) this.#add(rewrite);
    for (const name of [...this.#series.keys()]) if (!this.#rewrites.has(name)) this.#forget(name);
  }

  #ordered(): RewriteRules {
    this.#rules ??= new RewriteRules(this.#rewrites.values());
    return this.#rules;
  }

  #add(rewrite: InferenceModelRewrite): void {
    const { logger } = this.#options;
    const { name, rules } = rewrite;
    if (this.#rewrites.size >= maxRewrites && !this.#rewrites.has(name)) {
      if (!this.#isFull) logger.warn({ rewrite: name, limit: maxRewrites }, "there are more rewrites than are kept");
      this.#isFull = true;
      return;
    }
    this.#rewrites.set(name, rewrite);
    this.#forgetImpossible(rewrite);
    for (const [index, { targets }] of rules.entries()) {
      const weighted = targets.filter(({ weight }) => weight !== undefined);
      if (weighted.length > 0 && weighted.length < targets.length) {
        const idle = targets.flatMap(({ model, weight }) => (weight === undefined ? [model] : []));
        logger.warn(
          { rewrite: name, rule: index, targets: idle.slice(0, 10) },
          "targets without a weight stand beside targets with one and get no requests",
        );
      }
      if (targets.length === 0) {
        logger.warn({ rewrite: name, rule: index }, "a rule has no targets; requests it applies to are refused");
      }
    }
  }

  #count(rewrite: string, incomingModel: string, target: string): void {
    const model = this.names(incomingModel) ? incomingModel : this.#models.bound(incomingModel);
    let series = this.#series.get(rewrite);
    if (series === undefined) {
      series = new Map();
      this.#series.set(rewrite, series);
    }
    const key = `${target.length}:${target}${model}`;
    let bound = series.get(key);
    if (bound === undefined) {
      const labels = [rewrite, model, target] as const;
      bound = { labels, counter: this.#decisions.labels(...labels) };
      series.set(key, bound);
    }
    bound.counter.inc();
  }

  /** Removes the series of choices that a rewrite cannot make any more: rules change, and each change may bring new names. */
  #forgetImpossible({ name, rules }: InferenceModelRewrite): void {
    const series = this.#series.get(name);
    if (series === undefined) return;
    const targets = new Set(rules.flatMap((rule) => rule.targets.map(({ model }) => model)));
    const models = rules.some((rule) => rule.models === undefined)
      ? undefined
      : new Set(rules.flatMap((rule) => rule.models ?? []));
    for (const [key, { labels }] of series) {
      const [, model, target] = labels;
      if (targets.has(target) && models?.has(model) !== false) continue;
      this.#decisions.remove(...labels);
      series.delete(key);
    }
  }

  #forget(rewrite: string): void {
    for (const { labels } of this.#series.get(rewrite)?.values() ?? []) this.#decisions.remove(...labels);
    this.#series.delete(rewrite);
  }
}
