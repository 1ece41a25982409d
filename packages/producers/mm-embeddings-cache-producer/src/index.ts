export { mmEmbeddingsCacheProducer as default } from "./mm-embeddings-cache-producer.ts";
