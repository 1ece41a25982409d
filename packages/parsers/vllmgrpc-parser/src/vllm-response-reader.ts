import type { ResponseReader, Usage } from "@pointsman/core";
import { countVarints, GrpcFrameReader, ProtoFields, wireType } from "@pointsman/core/grpc-frame";
import { embedResponse, generateComplete, generateResponse, streamChunk } from "./vllm-fields.ts";

/** Samples of one answer whose output is counted; vLLM itself makes far fewer. */
const maxSamples = 1024;

/** Output of one of the samples that a request asked for. */
interface Sample {
  /** Tokens in the chunks so far. */
  receivedTokens: number;
  /** Most tokens that a message reported. */
  reportedTokens: number;
}

/**
 * Counts the tokens of an answer from its messages, however they are cut, and passes every byte on.
 *
 * vLLM reports with each message of a stream the tokens of that message, other servers all so far, and each sample has
 * messages of its own. So the output of a sample is what its chunks carried, or what was reported if that is more.
 */
export class VllmResponseReader implements ResponseReader {
  events = 0;
  readonly #frames = new GrpcFrameReader((message) => this.#read(message));
  readonly #samples = new Map<number, Sample>();
  #promptTokens = 0;
  #completionTokens = 0;
  #cachedTokens = 0;
  #embedding = false;

  get usage(): Usage | undefined {
    const promptTokens = this.#promptTokens;
    const completionTokens = this.#completionTokens;
    if (promptTokens === 0 && completionTokens === 0) return undefined;
    return {
      promptTokens: promptTokens === 0 ? undefined : promptTokens,
      completionTokens,
      totalTokens: promptTokens + completionTokens,
      cachedTokens: this.#embedding ? undefined : this.#cachedTokens,
    };
  }

  get keptBytes(): number {
    return this.#frames.keptBytes;
  }

  letGo(): void {
    this.#frames.letGo();
  }

  chunk(bytes: Uint8Array, _endOfStream: boolean): Uint8Array {
    this.#frames.push(bytes);
    return bytes;
  }

  #read(message: Uint8Array): void {
    let chunk: Uint8Array | undefined;
    let complete: Uint8Array | undefined;
    let embeddingTokens: number | undefined;
    const fields = new ProtoFields(message);
    while (fields.next()) {
      if (fields.is(generateResponse.chunk, wireType.bytes)) chunk = fields.bytes();
      else if (fields.is(generateResponse.complete, wireType.bytes)) complete = fields.bytes();
      // The two kinds of answers have no type to tell them apart, but only embeddings have numbers here.
      else if (fields.is(embedResponse.promptTokens, wireType.varint)) embeddingTokens = fields.uint32();
      else if (fields.is(embedResponse.embeddingDim, wireType.varint)) embeddingTokens ??= 0;
    }
    if (fields.problem !== undefined) return;
    if (embeddingTokens !== undefined) {
      this.#promptTokens = embeddingTokens;
      this.#embedding = true;
    } else if (complete !== undefined) this.#add(complete, generateComplete, 0);
    else if (chunk !== undefined) {
      this.events++;
      this.#add(chunk, streamChunk, countVarints(chunk, streamChunk.tokenIds) ?? 0);
    }
  }

  #add(
    message: Uint8Array,
    numbers: {
      readonly promptTokens: number;
      readonly completionTokens: number;
      readonly cachedTokens: number;
      readonly index: number;
    },
    receivedTokens: number,
  ): void {
    let promptTokens = 0;
    let reportedTokens = 0;
    let cachedTokens = 0;
    let index = 0;
    const fields = new ProtoFields(message);
    while (fields.next()) {
      if (fields.type !== wireType.varint) continue;
      if (fields.number === numbers.promptTokens) promptTokens = fields.uint32();
      else if (fields.number === numbers.completionTokens) reportedTokens = fields.uint32();
      else if (fields.number === numbers.cachedTokens) cachedTokens = fields.uint32();
      else if (fields.number === numbers.index) index = fields.uint32();
    }
    if (fields.problem !== undefined) return;
    if (promptTokens > 0) this.#promptTokens = promptTokens;
    if (cachedTokens > 0) this.#cachedTokens = cachedTokens;
    let sample = this.#samples.get(index);
    if (sample === undefined) {
      if (this.#samples.size >= maxSamples) return;
      sample = { receivedTokens: 0, reportedTokens: 0 };
      this.#samples.set(index, sample);
    }
    this.#completionTokens -= outputTokens(sample);
    sample.receivedTokens += receivedTokens;
    sample.reportedTokens = Math.max(sample.reportedTokens, reportedTokens);
    this.#completionTokens += outputTokens(sample);
  }
}

function outputTokens({ receivedTokens, reportedTokens }: Sample): number {
  return Math.max(receivedTokens, reportedTokens);
}
