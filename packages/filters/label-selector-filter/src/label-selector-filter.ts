import { type AnyPluginDefinition, definePlugin, type Endpoint } from "@pointsman/core";
import { type LabelOperator, type LabelSelectorParams, labelSelectorParams } from "./params.ts";

interface PreparedRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  readonly values: ReadonlySet<string>;
}

/** A selector prepared for matching: every requirement must hold. */
export type PreparedSelector = readonly PreparedRequirement[];

/** Prepares a selector. An empty one selects everything. */
export function prepareSelector(params: LabelSelectorParams): PreparedSelector {
  const fromLabels = Object.entries(params.matchLabels).map(
    ([key, value]): PreparedRequirement => ({ key, operator: "In", values: new Set([value]) }),
  );
  const fromExpressions = params.matchExpressions.map(
    ({ key, operator, values }): PreparedRequirement => ({ key, operator, values: new Set(values) }),
  );
  return [...fromLabels, ...fromExpressions];
}

/** Tells whether labels meet a selector. O(requirements), no allocation. */
export function selects(selector: PreparedSelector, labels: Readonly<Record<string, string>>): boolean {
  for (let i = 0; i < selector.length; i++) {
    if (!holds(selector[i]!, labels)) return false;
  }
  return true;
}

function holds({ key, operator, values }: PreparedRequirement, labels: Readonly<Record<string, string>>): boolean {
  // Own properties only: a key such as "constructor" is a valid label.
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.has(value);
    case "NotIn":
      return value === undefined || !values.has(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

/** Keeps the endpoints a selector selects, in their order; the same array when all stay. O(n), one array when one goes. */
export function keepSelected(selector: PreparedSelector, endpoints: readonly Endpoint[]): readonly Endpoint[] {
  let kept: Endpoint[] | undefined;
  for (let i = 0; i < endpoints.length; i++) {
    const endpoint = endpoints[i]!;
    if (!selects(selector, endpoint.metadata.labels)) kept ??= endpoints.slice(0, i);
    else kept?.push(endpoint);
  }
  return kept ?? endpoints;
}

export const labelSelectorFilter: AnyPluginDefinition = definePlugin({
  type: "label-selector-filter",
  aliases: ["by-label-selector"],
  kind: "filter",
  stability: "beta",
  summary: "Keeps endpoints whose labels match a Kubernetes label selector.",
  params: labelSelectorParams,
  create(params) {
    const selector = prepareSelector(params);
    return { filter: (_request, endpoints) => keepSelected(selector, endpoints) };
  },
});
