import type { AnyPluginDefinition } from "@pointsman/core";

/** Why a type could not be resolved. */
export interface ResolveFailure {
  /** `unknown`: no package is known; `not-installed`: it is known and not there; `broken`: it is there and unusable. */
  readonly kind: "unknown" | "not-installed" | "broken";
  readonly message: string;
  /** The npm package that carries the type, where known. */
  readonly packageName?: string;
}

/** Finds plugin definitions by the type a configuration names. */
export interface PluginResolver {
  /** Types and aliases that can be named, with the type itself and the npm package that carries it. */
  readonly known: ReadonlyMap<string, { readonly packageName: string; readonly type: string }>;
  resolve(type: string): Promise<AnyPluginDefinition | ResolveFailure>;
}

/** Tells a failure from a definition. */
export function isResolveFailure(outcome: AnyPluginDefinition | ResolveFailure): outcome is ResolveFailure {
  return outcome.kind === "unknown" || outcome.kind === "not-installed" || outcome.kind === "broken";
}
