export { exampleExtractor as default } from "./example-extractor.ts";
