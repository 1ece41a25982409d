export { inflightLoadProducer as default } from "./inflight-load-producer.ts";
