export { maxBlockSizeTokens, PrefixHasher, type PromptHashes } from "./prefix-hasher.ts";
export { type Xxh64Hash, xxh64, xxh64Hex } from "./xxh64.ts";
