import type { Answer } from "../text/answer.ts";
import type { GenerationKind } from "./generation-request.ts";

export interface Usage {
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly cachedTokens: number;
}

export type FinishReason = "stop" | "length" | "cache_threshold";

/** Part of an answer: its text, or its token ids where the client gets those. */
export type ReplyPart = string | readonly number[];

/** Writes the JSON of one request's replies. */
export class ReplyText {
  readonly #kind: GenerationKind;
  readonly #identity: { readonly id: string; readonly created: number; readonly model: string };
  readonly #chunkStart: string;

  constructor(kind: GenerationKind, id: string, createdUnixSeconds: number, model: string) {
    this.#kind = kind;
    const prefix = { chat: "chatcmpl-", completion: "cmpl-", generate: "" }[kind];
    this.#identity = { id: `${prefix}${id}`, created: createdUnixSeconds, model };
    const object = kind === "chat" ? "chat.completion.chunk" : "text_completion";
    const { created } = this.#identity;
    const head = kind === "generate" ? { request_id: id } : { id: this.#identity.id, object, created, model };
    this.#chunkStart = JSON.stringify(head).slice(0, -1);
  }

  /** What of an answer goes into a reply: the tokens `from` (included) to `to` (excluded). */
  part(answer: Answer, from: number, to: number): ReplyPart {
    if (this.#kind !== "generate") return answer.text(from, to);
    return Array.from({ length: to - from }, (_, i) => answer.tokenId(from + i));
  }

  get emptyPart(): ReplyPart {
    return this.#kind === "generate" ? [] : "";
  }

  /** The whole reply. `transfer`: members that tell another server where to fetch something. */
  full(text: ReplyPart, finishReason: FinishReason, usage: Usage, transfer: object = {}): string {
    const { id, created, model } = this.#identity;
    if (this.#kind === "generate") {
      return JSON.stringify({
        request_id: id,
        choices: [{ index: 0, logprobs: null, finish_reason: finishReason, token_ids: text }],
        prompt_logprobs: null,
        usage: usageObject(usage),
        ...transfer,
      });
    }
    const answer =
      this.#kind === "chat"
        ? { index: 0, message: { role: "assistant", content: text }, logprobs: null }
        : { index: 0, text, logprobs: null };
    return JSON.stringify({
      id,
      object: this.#kind === "chat" ? "chat.completion" : "text_completion",
      created,
      model,
      choices: [{ ...answer, finish_reason: finishReason, stop_reason: null }],
      usage: usageObject(usage),
      ...transfer,
    });
  }

  /** The chunk that opens a chat answer; completions have none. */
  opening(usage: Usage | undefined): string | undefined {
    if (this.#kind !== "chat") return undefined;
    return this.#chunk('"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null', usage);
  }

  chunk(text: ReplyPart, finishReason: FinishReason | undefined, usage: Usage | undefined): string {
    const reason = finishReason === undefined ? "null" : `"${finishReason}"`;
    const words = JSON.stringify(text);
    if (this.#kind === "generate") {
      return this.#chunk(`"token_ids":${words},"logprobs":null,"finish_reason":${reason}`, usage);
    }
    return this.#kind === "chat"
      ? this.#chunk(`"delta":{"content":${words}},"logprobs":null,"finish_reason":${reason}`, usage)
      : this.#chunk(`"text":${words},"logprobs":null,"finish_reason":${reason},"stop_reason":null`, usage);
  }

  /** The chunk after the answer that has the usage and no choice. */
  usageChunk(usage: Usage): string {
    return `${this.#chunkStart},"choices":[],"usage":${JSON.stringify(usageObject(usage))}}`;
  }

  #chunk(choice: string, usage: Usage | undefined): string {
    const end = usage === undefined ? "" : `,"usage":${JSON.stringify(usageObject(usage))}`;
    return `${this.#chunkStart},"choices":[{"index":0,${choice}}]${end}}`;
  }
}

function usageObject(usage: Usage): object {
  return {
    prompt_tokens: usage.promptTokens,
    total_tokens: usage.promptTokens + usage.generatedTokens,
    completion_tokens: usage.generatedTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  };
}
