export { exampleScorer as default } from "./example-scorer.ts";
