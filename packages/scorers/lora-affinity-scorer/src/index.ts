export { loraAffinityScorer as default } from "./lora-affinity-scorer.ts";
