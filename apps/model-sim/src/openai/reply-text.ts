import type { GenerationKind } from "./generation-request.ts";

export interface Usage {
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly cachedTokens: number;
}

export type FinishReason = "stop" | "length" | "cache_threshold";

/** Writes the JSON of one request's replies. */
export class ReplyText {
  readonly #kind: GenerationKind;
  readonly #identity: { readonly id: string; readonly created: number; readonly model: string };
  readonly #chunkStart: string;

  constructor(kind: GenerationKind, id: string, createdUnixSeconds: number, model: string) {
    this.#kind = kind;
    this.#identity = { id: `${kind === "chat" ? "chatcmpl" : "cmpl"}-${id}`, created: createdUnixSeconds, model };
    const object = kind === "chat" ? "chat.completion.chunk" : "text_completion";
    const { created } = this.#identity;
    this.#chunkStart = JSON.stringify({ id: this.#identity.id, object, created, model }).slice(0, -1);
  }

  /** The whole reply. `transfer`: what another server needs to fetch the prompt's KV cache. */
  full(text: string, finishReason: FinishReason, usage: Usage, transfer?: object): string {
    const { id, created, model } = this.#identity;
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
      ...(transfer === undefined ? {} : { kv_transfer_params: transfer }),
    });
  }

  /** The chunk that opens a chat answer; completions have none. */
  opening(usage: Usage | undefined): string | undefined {
    if (this.#kind !== "chat") return undefined;
    return this.#chunk('"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null', usage);
  }

  chunk(text: string, finishReason: FinishReason | undefined, usage: Usage | undefined): string {
    const reason = finishReason === undefined ? "null" : `"${finishReason}"`;
    const words = JSON.stringify(text);
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
