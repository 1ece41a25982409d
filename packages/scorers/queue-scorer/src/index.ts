export { queueScorer as default } from "./queue-scorer.ts";
