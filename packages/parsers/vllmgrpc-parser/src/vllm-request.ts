import { type MultiModalFeature, type ParsedRequest, type PromptSegment, RequestError } from "@pointsman/core";
import { countVarints, ProtoFields, readGrpcMessage, readUint32s, wireType } from "@pointsman/core/grpc-frame";
import { countFeatures, maxFeatures, readFeatures } from "./multimodal-features.ts";
import { embedRequest, generateRequest, samplingParams, tokenizedInput } from "./vllm-fields.ts";

/** Messages within a request that are read. Engines and their clients send each kind once. */
const maxInnerMessages = 8;

interface Method {
  /** Service and method as they stand in the path. */
  readonly name: string;
  read(message: Uint8Array): ParsedRequest | RequestError;
}

const methods: readonly Method[] = [
  { name: "vllm.grpc.engine.VllmEngine/Generate", read: readGenerate },
  { name: "vllm.grpc.engine.VllmEngine/Embed", read: readEmbed },
];

/** Methods whose requests are understood, as they stand at the end of a path. */
export const methodNames: readonly string[] = methods.map(({ name }) => name);

/** A request of a method this parser does not know: routed as it is, its answer not read. */
const unknownMethod: ParsedRequest = {
  model: undefined,
  stream: false,
  maxOutputTokens: undefined,
  cacheSalt: undefined,
  promptSegments: () => [],
  promptTokenIds: () => undefined,
  skipResponse: true,
};

/**
 * Reads a request of the method that `path` ends with.
 * Errors: BadRequest with the text llm-d gives; never throws. Cost: one pass over the message; the tokens are read when
 * somebody asks. The result refers to `body`.
 */
export function parseVllmRequest(path: string, body: Uint8Array): ParsedRequest | RequestError {
  const trimmed = path.endsWith("/") ? path.slice(0, -1) : path;
  const absolute = trimmed.startsWith("/") ? trimmed : `/${trimmed}`;
  const method = methods.find(({ name }) => absolute.endsWith(`/${name}`));
  if (method === undefined) return unknownMethod;
  const frame = readGrpcMessage(body);
  return frame.ok ? method.read(frame.message) : badRequest("invalid or unsupported gRPC payload");
}

/** What a request says, views of its bytes. Parts of one message may lie apart; the engine takes them together. */
class Parts {
  text: Uint8Array | undefined;
  tokenized: Uint8Array[] | undefined;
  readonly media: Uint8Array[] = [];
  stream = false;
  maxTokens: number | undefined;
}

function readGenerate(message: Uint8Array): ParsedRequest | RequestError {
  const parts = new Parts();
  let innerMessages = 0;
  const fields = new ProtoFields(message);
  while (fields.next()) {
    if (fields.is(generateRequest.stream, wireType.varint)) parts.stream = fields.bool();
    if (fields.type !== wireType.bytes) continue;
    switch (fields.number) {
      case generateRequest.text:
        // Of text and tokens the later one counts.
        parts.tokenized = undefined;
        parts.text = fields.bytes();
        continue;
      case generateRequest.tokenized:
        parts.text = undefined;
        parts.tokenized ??= [];
        parts.tokenized.push(fields.bytes());
        break;
      case generateRequest.samplingParams: {
        const problem = readSamplingParams(fields.bytes(), parts);
        if (problem !== undefined) return malformed("GenerateRequest", problem);
        break;
      }
      case generateRequest.mmInputs:
      case generateRequest.extraMmInputs:
        parts.media.push(fields.bytes());
        break;
      default:
        continue;
    }
    if (++innerMessages > maxInnerMessages) return tooMany("GenerateRequest", maxInnerMessages, "inner messages");
  }
  if (fields.problem !== undefined) return malformed("GenerateRequest", fields.problem);
  if (parts.tokenized === undefined) {
    return parts.text === undefined ? badRequest("not supported request inputType") : new VllmRequest(parts, 0);
  }
  const tokens = countTokens(parts.tokenized);
  if (tokens === undefined) return malformed("GenerateRequest", "the tokenized input is malformed");
  const features = countFeatures(parts.media);
  if (features === undefined) return malformed("GenerateRequest", "the multimodal inputs are malformed");
  if (features > maxFeatures) return tooMany("GenerateRequest", maxFeatures, "multimodal items");
  return new VllmRequest(parts, tokens);
}

function readEmbed(message: Uint8Array): ParsedRequest | RequestError {
  const parts = new Parts();
  const fields = new ProtoFields(message);
  while (fields.next()) {
    if (!fields.is(embedRequest.tokenized, wireType.bytes)) continue;
    parts.tokenized ??= [];
    parts.tokenized.push(fields.bytes());
    if (parts.tokenized.length > maxInnerMessages) return tooMany("EmbedRequest", maxInnerMessages, "inner messages");
  }
  if (fields.problem !== undefined) return malformed("EmbedRequest", fields.problem);
  if (parts.tokenized === undefined) return badRequest("missing tokenized input in EmbedRequest");
  const tokens = countTokens(parts.tokenized);
  return tokens === undefined
    ? malformed("EmbedRequest", "the tokenized input is malformed")
    : new VllmRequest(parts, tokens);
}

class VllmRequest implements ParsedRequest {
  readonly model: string | undefined = undefined;
  readonly stream: boolean;
  readonly maxOutputTokens: number | undefined;
  readonly cacheSalt: string | undefined = undefined;
  readonly #parts: Parts;
  readonly #tokens: number;

  constructor(parts: Parts, tokens: number) {
    this.stream = parts.stream;
    this.maxOutputTokens = parts.maxTokens;
    this.#parts = parts;
    this.#tokens = tokens;
  }

  promptSegments(): readonly (readonly PromptSegment[])[] {
    const { text } = this.#parts;
    if (text === undefined) return [];
    return [text.length === 0 ? [] : [{ kind: "text", bytes: text }]];
  }

  promptTokenIds(): readonly Uint32Array[] | undefined {
    const { tokenized } = this.#parts;
    if (tokenized === undefined) return undefined;
    const ids = new Uint32Array(this.#tokens);
    let at = 0;
    for (const input of tokenized) at = readUint32s(input, tokenizedInput.inputIds, ids, at);
    return [ids];
  }

  promptFeatures(): readonly (readonly MultiModalFeature[])[] {
    return this.#parts.tokenized === undefined ? [] : [readFeatures(this.#parts.media)];
  }
}

function readSamplingParams(message: Uint8Array, parts: Parts): string | undefined {
  const fields = new ProtoFields(message);
  while (fields.next()) {
    if (fields.is(samplingParams.maxTokens, wireType.varint)) parts.maxTokens = fields.uint32();
  }
  return fields.problem;
}

function countTokens(inputs: readonly Uint8Array[]): number | undefined {
  let count = 0;
  for (const input of inputs) {
    const tokens = countVarints(input, tokenizedInput.inputIds);
    if (tokens === undefined) return undefined;
    count += tokens;
  }
  return count;
}

function malformed(message: string, problem: string): RequestError {
  return badRequest(`unmarshaling ${message}: ${problem}`);
}

function tooMany(message: string, limit: number, what: string): RequestError {
  return badRequest(`${message} has more than ${limit} ${what}`);
}

function badRequest(message: string): RequestError {
  return new RequestError("BadRequest", message);
}
