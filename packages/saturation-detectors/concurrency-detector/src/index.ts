export { concurrencyDetector as default } from "./concurrency-detector.ts";
