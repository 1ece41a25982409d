export { dcgmExtractor as default } from "./dcgm-extractor.ts";
