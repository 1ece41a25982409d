export { disaggregatedsetRolloutScreener as default } from "./disaggregatedset-rollout-screener.ts";
