export { tokenProducer as default } from "./token-producer.ts";
