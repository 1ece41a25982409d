export { mmEmbeddingsCacheScorer as default } from "./mm-embeddings-cache-scorer.ts";
