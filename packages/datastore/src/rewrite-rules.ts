import type { InferenceModelRewrite, RewriteRule, RewriteTarget } from "@pointsman/core";

/** A rule with the object it stands in. */
export interface PlacedRule {
  readonly rewrite: string;
  readonly rule: RewriteRule;
}

/**
 * Rules in the order in which they are asked: exact names before rules for all, of the oldest object first, in the
 * order of the object. One rule decides: the first.
 */
export class RewriteRules {
  readonly #byModel: Map<string, PlacedRule> = new Map();
  readonly #targets: Set<string> = new Set();
  readonly #general: PlacedRule | undefined;

  constructor(rewrites: Iterable<InferenceModelRewrite>) {
    let general: PlacedRule | undefined;
    for (const { name, rules } of [...rewrites].sort(byPrecedence)) {
      for (const rule of rules) {
        const placed = { rewrite: name, rule };
        for (const { model } of rule.targets) this.#targets.add(model);
        if (rule.models === undefined) general ??= placed;
        for (const model of rule.models ?? []) if (!this.#byModel.has(model)) this.#byModel.set(model, placed);
      }
    }
    this.#general = general;
  }

  /** The rule that decides for a model. */
  of(model: string): PlacedRule | undefined {
    return this.#byModel.get(model) ?? this.#general;
  }

  names(model: string): boolean {
    return this.#byModel.has(model) || this.#targets.has(model);
  }
}

/** Oldest first; of one age by place in their list, then by name. */
function byPrecedence(a: InferenceModelRewrite, b: InferenceModelRewrite): number {
  const [aMs, bMs] = [a.createdAtMs ?? Number.NEGATIVE_INFINITY, b.createdAtMs ?? Number.NEGATIVE_INFINITY];
  if (aMs !== bMs) return aMs < bMs ? -1 : 1;
  const [aPlace, bPlace] = [a.position ?? 0, b.position ?? 0];
  if (aPlace !== bPlace) return aPlace - bPlace;
  return a.name < b.name ? -1 : 1;
}

/**
 * Draws a target: by weight among those with one, evenly among all where none has one. "" without targets.
 * `random` is uniform in [0, 1).
 */
export function drawTarget(targets: readonly RewriteTarget[], random: () => number): string {
  let total = 0;
  for (const { weight } of targets) total += weight ?? 0;
  if (total === 0) return targets[Math.floor(random() * targets.length)]?.model ?? "";
  const drawn = random() * total;
  let upTo = 0;
  for (const { model, weight } of targets) {
    upTo += weight ?? 0;
    if (drawn < upTo) return model;
  }
  return targets.findLast(({ weight }) => (weight ?? 0) > 0)?.model ?? "";
}
