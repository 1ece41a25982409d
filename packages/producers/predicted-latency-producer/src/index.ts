export { predictedLatencyProducer as default } from "./predicted-latency-producer.ts";
