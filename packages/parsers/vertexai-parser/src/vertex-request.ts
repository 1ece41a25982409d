import { type ParsedRequest, type PromptSegment, RequestError } from "@pointsman/core";
import { readGrpcMessage } from "@pointsman/core/grpc-frame";
import { parseOpenAiRequest } from "@pointsman/openai-parser";
import { requestHttpBody } from "./http-body.ts";

interface Method {
  /** Service and method as they end a path. */
  readonly name: string;
  readonly requestType: string;
  /** Path of the OpenAI API that the JSON in the request belongs to. */
  readonly openAiPath: string;
}

const methods: readonly Method[] = [
  {
    name: "PredictionService/ChatCompletions",
    requestType: "ChatCompletionsRequest",
    openAiPath: "/chat/completions",
  },
  { name: "PredictionService/StreamRawPredict", requestType: "StreamRawPredictRequest", openAiPath: "/responses" },
  { name: "PredictionService/RawPredict", requestType: "RawPredictRequest", openAiPath: "/responses" },
];

const packages = ["google.cloud.aiplatform.v1.", "google.cloud.aiplatform.v1beta1.", ""];

/** Methods whose requests are understood, as they stand at the end of a path. */
export const methodNames: readonly string[] = packages.flatMap((name) => methods.map((method) => name + method.name));

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
 * Reads the JSON inside a request of the method that `path` ends with.
 * Errors: BadRequest with the text llm-d gives; never throws. The result refers to `body`.
 */
export function parseVertexRequest(path: string, body: Uint8Array): ParsedRequest | RequestError {
  const trimmed = path.endsWith("/") ? path.slice(0, -1) : path;
  const absolute = trimmed.startsWith("/") ? trimmed : `/${trimmed}`;
  if (!methodNames.some((name) => absolute.endsWith(`/${name}`))) return unknownMethod;
  const { requestType, openAiPath } = methods.find(({ name }) => absolute.endsWith(name))!;
  const frame = readGrpcMessage(body);
  if (!frame.ok) return badRequest(`invalid or unsupported gRPC payload: ${frame.problem}`);
  const httpBody = requestHttpBody(frame.message);
  if (typeof httpBody === "string") return badRequest(`unmarshaling ${requestType}: ${httpBody}`);
  if (httpBody === undefined) return badRequest(`${requestType} has no HttpBody`);
  const parsed = parseOpenAiRequest(openAiPath, httpBody.data);
  return parsed instanceof RequestError
    ? new RequestError(parsed.code, `parsing ${requestType}: ${parsed.message}`, parsed.reason)
    : new VertexRequest(parsed);
}

/** A request whose model name stays: it is part of a message within messages. */
class VertexRequest implements ParsedRequest {
  readonly model: string | undefined;
  readonly stream: boolean;
  readonly maxOutputTokens: number | undefined;
  readonly cacheSalt: string | undefined;
  readonly #json: ParsedRequest;

  constructor(json: ParsedRequest) {
    this.model = json.model;
    this.stream = json.stream;
    this.maxOutputTokens = json.maxOutputTokens;
    this.cacheSalt = json.cacheSalt;
    this.#json = json;
  }

  promptSegments(): readonly (readonly PromptSegment[])[] {
    return this.#json.promptSegments();
  }

  promptTokenIds(): readonly Uint32Array[] | undefined {
    return this.#json.promptTokenIds();
  }
}

function badRequest(message: string): RequestError {
  return new RequestError("BadRequest", message);
}
