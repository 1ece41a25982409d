export { exampleScreener as default } from "./example-screener.ts";
