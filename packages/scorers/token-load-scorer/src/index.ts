export { tokenLoadScorer as default } from "./token-load-scorer.ts";
