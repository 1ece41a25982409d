export { modelsDataExtractor as default } from "./models-data-extractor.ts";
