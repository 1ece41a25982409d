export { p2pSourceProducer as default } from "./p2p-source-producer.ts";
