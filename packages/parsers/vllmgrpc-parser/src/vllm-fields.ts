/**
 * Field numbers of the messages that are read; all other fields are passed over.
 *
 * Source: `vllm.grpc.engine` in crates/grpc_client/proto/vllm_engine.proto of smg-project/smg, with `Modality` from
 * common.proto beside it.
 */
export const generateRequest = {
  tokenized: 2,
  text: 3,
  samplingParams: 4,
  stream: 5,
  mmInputs: 7,
  extraMmInputs: 11,
} as const;

export const embedRequest = { tokenized: 2 } as const;

export const tokenizedInput = { inputIds: 2 } as const;

export const samplingParams = { maxTokens: 8 } as const;

export const multimodalInputs = { placeholders: 5, hashes: 6, modality: 10 } as const;

export const placeholderRange = { offset: 1, length: 2 } as const;

/** Names of `Modality` by number. 0, which is unset, stands for images. */
export const modalities: readonly string[] = ["image", "image", "audio", "video"];

export const generateResponse = { chunk: 1, complete: 2 } as const;

export const streamChunk = { tokenIds: 1, promptTokens: 2, completionTokens: 3, cachedTokens: 4, index: 7 } as const;

export const generateComplete = { promptTokens: 3, completionTokens: 4, cachedTokens: 5, index: 8 } as const;

export const embedResponse = { promptTokens: 2, embeddingDim: 3 } as const;
