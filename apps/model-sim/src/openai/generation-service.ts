import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";
import type { ControlState, KvTransferMode } from "../control/control-state.ts";
import { FaultPlan } from "../control/fault-plan.ts";
import { BlockHasher, hashPrompt } from "../engine/block-hasher.ts";
import type { Engine } from "../engine/engine.ts";
import type { EngineRequest, EngineSequence } from "../engine/sequence.ts";
import { ApiError, sendError, sendJsonText } from "../http/api-error.ts";
import type { BodyReader } from "../http/body-reader.ts";
import { parseJsonObject } from "../http/json-document.ts";
import { mix32 } from "../random-stream.ts";
import { Answer } from "../text/answer.ts";
import {
  type GenerationKind,
  type GenerationRequest,
  readGenerationRequest,
  type ServedModels,
} from "./generation-request.ts";
import { ReplyText } from "./reply-text.ts";
import { type ReplyWriter, replyWriter } from "./reply-writer.ts";
import { readTransferRequest, type ServerRole, type TransferRequest } from "./transfer-request.ts";

export interface GenerationSettings {
  readonly served: ServedModels;
  readonly blockTokens: number;
  readonly streamIntervalTokens: number;
  readonly maxOpenRequests: number;
  readonly seed: number;
  readonly role: ServerRole;
  readonly kvTransferMs: number;
  readonly kvTransferPer1kTokensMs: number;
  /** Where other servers reach this one. */
  address(): { readonly host: string; readonly port: number };
}

const maxRequestIdCharacters = 128;
/** Of an embedding of 4096 numbers of two bytes. */
const bytesPerImageToken = 8192;

/** Serves completion and chat requests: reads, applies the failure switches, hands over to the engine, replies. */
export class GenerationService {
  readonly #settings: GenerationSettings;
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #bodies: BodyReader;
  readonly #control: () => ControlState;
  readonly #faults: FaultPlan;
  /** Names this run of the server to others that fetch its KV cache. */
  readonly engineId: string = randomUUID();
  #requests = 0;
  #openRequests = 0;

  constructor(
    settings: GenerationSettings,
    engine: Engine,
    clock: Clock,
    bodies: BodyReader,
    control: () => ControlState,
  ) {
    this.#settings = settings;
    this.#engine = engine;
    this.#clock = clock;
    this.#bodies = bodies;
    this.#control = control;
    this.#faults = new FaultPlan(settings.seed);
  }

  /** Inference requests accepted and not closed, those that hang included. */
  get openRequests(): number {
    return this.#openRequests;
  }

  /** Rejects with `ApiError` or `ClientGone` as long as nothing of the reply has been sent. */
  async serve(kind: GenerationKind, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#openRequests >= this.#settings.maxOpenRequests) {
      request.resume();
      throw new ApiError(503, `The server has ${this.#openRequests} open requests; try again later.`);
    }
    this.#openRequests += 1;
    response.on("close", () => {
      this.#openRequests -= 1;
    });
    const faults = this.#faults.next(this.#control());
    if (faults.hangs) {
      request.resume();
      return;
    }
    const body = await this.#bodies.read(request);
    if (faults.errorStatus !== undefined) {
      const message = `The control setting "errors" makes this request fail with status ${faults.errorStatus}.`;
      throw new ApiError(faults.errorStatus, message, { type: "InjectedError" });
    }
    const document = parseJsonObject(body);
    const generation = readGenerationRequest(kind, document, this.#settings.served);
    const transfer = readTransferRequest(document, this.#settings.role);
    const id = this.#id(request);
    const engineRequest = this.#engineRequest(generation);
    if (response.destroyed) return;
    const text = new ReplyText(kind, id, Math.floor(this.#clock.unixSeconds()), generation.model);
    if (this.#declines(request, engineRequest, transfer.cacheHitThreshold)) {
      decline(response, generation, text);
      return;
    }
    const { streamIntervalTokens } = this.#settings;
    const writer = replyWriter({
      response,
      generation,
      text,
      streamIntervalTokens,
      cutAfterChunks: faults.cutAfterChunks,
      transferParams: this.#transferMembers(transfer, generation, id),
    });
    const asked = { ...engineRequest, keepsBlocks: transfer.keeps };
    if (transfer.receives) this.#receive(asked, writer, response, faults.kvTransfer);
    else this.#submit(asked, writer, response);
  }

  #submit(engineRequest: EngineRequest, writer: ReplyWriter, response: ServerResponse): void {
    const sequence = this.#engine.submit(engineRequest, writer);
    response.on("close", () => this.#engine.abort(sequence));
    writer.begin();
  }

  /** Lets the time of a KV-cache transfer pass before the engine gets the request. */
  #receive(
    engineRequest: EngineRequest,
    writer: ReplyWriter,
    response: ServerResponse,
    failure: KvTransferMode | undefined,
  ): void {
    if (failure === "hang") return;
    const { kvTransferMs, kvTransferPer1kTokensMs } = this.#settings;
    const alarm = this.#clock.alarm(() => {
      if (response.destroyed) return;
      if (failure === "fail") {
        sendError(response, new ApiError(500, "The KV-cache transfer failed.", { type: "InjectedError" }));
        return;
      }
      const receivedTokens = failure === "recompute" ? 0 : engineRequest.promptTokens - 1;
      this.#submit({ ...engineRequest, receivedTokens }, writer, response);
    });
    response.on("close", () => alarm.clear());
    alarm.set(this.#clock.nowMs() + kvTransferMs + (kvTransferPer1kTokensMs * engineRequest.promptTokens) / 1000);
  }

  /** Whether less of the prompt is cached than the client wants. The header forces it. */
  #declines(request: IncomingMessage, engineRequest: EngineRequest, threshold: number | undefined): boolean {
    if (request.headers["x-cache-threshold-finish-reason"] === "true") return true;
    if (threshold === undefined) return false;
    const { promptTokens, promptKeys } = engineRequest;
    return this.#engine.cachedTokens(promptTokens, promptKeys) / promptTokens < threshold;
  }

  /** Makes the members of a reply that tell other servers where to fetch something. */
  #transferMembers(
    transfer: TransferRequest,
    { images }: GenerationRequest,
    requestId: string,
  ): ((sequence: EngineSequence) => object) | undefined {
    if (transfer.keeps) {
      return (sequence) => ({ kv_transfer_params: this.#transferParams(sequence, requestId) });
    }
    if (!transfer.encodes) return undefined;
    const { host, port } = this.#settings.address();
    const metadata = Buffer.from(this.engineId).toString("base64");
    const embedding = { peer_host: host, peer_port: port, size_bytes: 0, nixl_agent_metadata_b64: metadata };
    const entries = images.map(({ hash, tokens }) => [hash, { ...embedding, size_bytes: tokens * bytesPerImageToken }]);
    return () => ({ ec_transfer_params: Object.fromEntries(entries) as object });
  }

  /** What a decode server needs to fetch the prompt's KV cache, as vLLM's NixlConnector names it. */
  #transferParams(sequence: EngineSequence, requestId: string): object {
    const { host, port } = this.#settings.address();
    return {
      do_remote_prefill: true,
      do_remote_decode: false,
      remote_block_ids: sequence.promptBlocks,
      remote_engine_id: this.engineId,
      remote_request_id: requestId,
      remote_host: host,
      remote_port: port,
      remote_num_tokens: sequence.request.promptTokens,
      tp_size: 1,
    };
  }

  #engineRequest(generation: GenerationRequest): EngineRequest {
    const { blockTokens, seed } = this.#settings;
    const { adapter, cacheSalt, tokenIds, answerTokens, finishReason } = generation;
    const hasher = new BlockHasher(blockTokens, JSON.stringify([adapter ?? null, cacheSalt]));
    const promptKeys = hashPrompt(hasher, tokenIds, blockTokens);
    const answer = new Answer(mix32(hasher.digest() ^ mix32(seed)), answerTokens, finishReason);
    return { promptTokens: tokenIds.length, promptKeys, hasher, answer, adapter };
  }

  /** The caller's `x-request-id`, else a number that is equal in equal runs. */
  #id(request: IncomingMessage): string {
    this.#requests += 1;
    const given = request.headers["x-request-id"];
    if (typeof given === "string" && given !== "" && given.length <= maxRequestIdCharacters) return given;
    const high = mix32(this.#settings.seed).toString(16).padStart(8, "0");
    return `${high}${this.#requests.toString(16).padStart(8, "0")}`;
  }
}

/** Ends a request whose prompt is not cached well enough, before anything is computed. */
function decline(response: ServerResponse, generation: GenerationRequest, text: ReplyText): void {
  const usage = { promptTokens: generation.tokenIds.length, generatedTokens: 0, cachedTokens: 0 };
  if (!generation.stream) {
    sendJsonText(response, 200, text.full(text.emptyPart, "cache_threshold", usage));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
  const chunk = text.chunk(text.emptyPart, "cache_threshold", generation.continuousUsage ? usage : undefined);
  const usageChunk = generation.includesUsage ? `data: ${text.usageChunk(usage)}\n\n` : "";
  response.end(`data: ${chunk}\n\n${usageChunk}data: [DONE]\n\n`);
}
