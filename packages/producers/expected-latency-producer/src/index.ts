export { expectedLatencyProducer as default } from "./expected-latency-producer.ts";
