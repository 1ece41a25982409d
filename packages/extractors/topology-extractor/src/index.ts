export { topologyExtractor as default } from "./topology-extractor.ts";
