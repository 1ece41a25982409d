export { noHitLruScorer as default } from "./no-hit-lru-scorer.ts";
