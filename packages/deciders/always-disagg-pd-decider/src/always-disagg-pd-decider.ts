import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";

export const alwaysDisaggPdDecider: AnyPluginDefinition = definePlugin({
  type: "always-disagg-pd-decider",
  kind: "decider",
  stability: "beta",
  summary: "Always says yes: every prompt is computed on a prefill endpoint.",
  create: () => ({ disaggregate: () => true }),
});
