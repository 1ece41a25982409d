import type { ServerResponse } from "node:http";
import type { EngineListener, EngineSequence } from "../engine/sequence.ts";
import { sendJsonText } from "../http/api-error.ts";
import type { GenerationRequest } from "./generation-request.ts";
import type { ReplyText, Usage } from "./reply-text.ts";

export interface ReplyOptions {
  readonly response: ServerResponse;
  readonly generation: GenerationRequest;
  readonly text: ReplyText;
  readonly streamIntervalTokens: number;
  /** Ends the connection after so many SSE events, or in the middle of a JSON body. Undefined = does not. */
  readonly cutAfterChunks: number | undefined;
  /** Members that tell other servers where to fetch something, in replies that are not streamed. */
  readonly transferParams?: ((sequence: EngineSequence) => object) | undefined;
}

/** A listener that turns the engine's progress into an HTTP reply. */
export interface ReplyWriter extends EngineListener {
  /** Called once, when the request has been accepted and before the first token. */
  begin(): void;
}

export function replyWriter(options: ReplyOptions): ReplyWriter {
  return options.generation.stream ? new SseReply(options) : new JsonReply(options);
}

function usageOf(sequence: EngineSequence): Usage {
  return {
    promptTokens: sequence.request.promptTokens,
    generatedTokens: sequence.producedTokens,
    cachedTokens: sequence.cachedTokens,
  };
}

class JsonReply implements ReplyWriter {
  readonly #options: ReplyOptions;

  constructor(options: ReplyOptions) {
    this.#options = options;
  }

  begin(): void {}

  onFinish(sequence: EngineSequence): void {
    const { response, text, cutAfterChunks, transferParams } = this.#options;
    const { answer } = sequence.request;
    const words = text.part(answer, 0, answer.tokens);
    const json = text.full(words, answer.finishReason, usageOf(sequence), transferParams?.(sequence));
    if (cutAfterChunks === undefined) {
      sendJsonText(response, 200, json);
      return;
    }
    const body = Buffer.from(json);
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
    response.write(body.subarray(0, body.length >> 1), () => response.destroy());
  }
}

/**
 * Streams an answer as server-sent events. A client that does not read holds back its own events only: they are made
 * from the answer when it reads again, so nothing piles up here.
 */
class SseReply implements ReplyWriter {
  readonly #options: ReplyOptions;
  #sequence: EngineSequence | undefined;
  #sentTokens = 0;
  #sentEvents = 0;
  #state: "opening" | "open" | "blocked" | "over" = "opening";

  constructor(options: ReplyOptions) {
    this.#options = options;
  }

  begin(): void {
    const { response, cutAfterChunks } = this.#options;
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
    response.flushHeaders();
    if (cutAfterChunks === 0) this.#cut();
  }

  onToken(sequence: EngineSequence): void {
    this.#sequence = sequence;
    const unsent = sequence.producedTokens - this.#sentTokens;
    // The first token goes out at once, so that its time is right whatever the interval is.
    const isDue = unsent >= this.#options.streamIntervalTokens || this.#sentTokens === 0;
    if (isDue && sequence.state !== "finished") this.#send(sequence);
  }

  onFinish(sequence: EngineSequence): void {
    this.#sequence = sequence;
    this.#send(sequence);
  }

  #send(sequence: EngineSequence): void {
    const { text, generation, response } = this.#options;
    const usage = generation.continuousUsage ? usageOf(sequence) : undefined;
    if (this.#state === "opening") {
      this.#state = "open";
      const opening = text.opening(usage);
      if (opening !== undefined) this.#event(opening);
    }
    if (this.#state !== "open") return;
    const { answer } = sequence.request;
    const isLast = sequence.producedTokens === answer.tokens;
    const words = text.part(answer, this.#sentTokens, sequence.producedTokens);
    this.#sentTokens = sequence.producedTokens;
    this.#event(text.chunk(words, isLast ? answer.finishReason : undefined, usage));
    if (!isLast) return;
    if (generation.includesUsage) this.#event(text.usageChunk(usageOf(sequence)));
    this.#event("[DONE]");
    if (this.#isOver()) return;
    this.#state = "over";
    response.end();
  }

  #event(data: string): void {
    if (this.#isOver()) return;
    const { response, cutAfterChunks } = this.#options;
    this.#sentEvents += 1;
    const hasRoom = response.write(`data: ${data}\n\n`);
    if (this.#sentEvents === cutAfterChunks) this.#cut();
    else if (!hasRoom && this.#state === "open") {
      this.#state = "blocked";
      response.once("drain", () => this.#drained());
    }
  }

  #drained(): void {
    if (this.#state !== "blocked") return;
    this.#state = "open";
    const sequence = this.#sequence;
    if (sequence === undefined || this.#sentTokens === sequence.producedTokens) return;
    this.#send(sequence);
  }

  /** Ends the connection once everything written so far is out. */
  #cut(): void {
    this.#state = "over";
    const { response } = this.#options;
    const destroy = () => response.destroy();
    if (this.#sentEvents === 0) setImmediate(destroy);
    else response.write("", destroy);
  }

  #isOver(): boolean {
    return this.#state === "over";
  }
}
