export { latencySloAdmitter as default } from "./latency-slo-admitter.ts";
