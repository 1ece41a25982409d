export { utilizationDetector as default } from "./utilization-detector.ts";
