export { sessionIdProducer as default } from "./session-id-producer.ts";
