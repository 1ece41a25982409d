export { activeRequestScorer as default } from "./active-request-scorer.ts";
