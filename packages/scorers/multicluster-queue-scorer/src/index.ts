export { multiclusterQueueScorer as default } from "./multicluster-queue-scorer.ts";
