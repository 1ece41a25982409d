import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";
import type { ControlState } from "../control/control-state.ts";
import { FaultPlan } from "../control/fault-plan.ts";
import { BlockHasher, hashPrompt } from "../engine/block-hasher.ts";
import type { Engine } from "../engine/engine.ts";
import type { EngineRequest } from "../engine/sequence.ts";
import { ApiError } from "../http/api-error.ts";
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
import { replyWriter } from "./reply-writer.ts";

export interface GenerationSettings {
  readonly served: ServedModels;
  readonly blockTokens: number;
  readonly streamIntervalTokens: number;
  readonly maxOpenRequests: number;
  readonly seed: number;
}

const maxRequestIdCharacters = 128;

/** Serves completion and chat requests: reads, applies the failure switches, hands over to the engine, replies. */
export class GenerationService {
  readonly #settings: GenerationSettings;
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #bodies: BodyReader;
  readonly #control: () => ControlState;
  readonly #faults: FaultPlan;
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
    const generation = readGenerationRequest(kind, parseJsonObject(body), this.#settings.served);
    const engineRequest = this.#engineRequest(generation);
    if (response.destroyed) return;
    const text = new ReplyText(kind, this.#id(request), Math.floor(this.#clock.unixSeconds()), generation.model);
    const { streamIntervalTokens } = this.#settings;
    const writer = replyWriter({
      response,
      generation,
      text,
      streamIntervalTokens,
      cutAfterChunks: faults.cutAfterChunks,
    });
    const sequence = this.#engine.submit(engineRequest, writer);
    response.on("close", () => this.#engine.abort(sequence));
    writer.begin();
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
