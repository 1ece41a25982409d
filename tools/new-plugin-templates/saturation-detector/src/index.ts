export { exampleSaturationDetector as default } from "./example-saturation-detector.ts";
