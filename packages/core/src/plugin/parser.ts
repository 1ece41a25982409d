import type { MultiModalFeature } from "../attributes/tokenized-prompt.ts";
import type { Headers } from "../headers.ts";
import type { RequestError } from "../request-error.ts";

/** A stretch of a prompt. */
export type PromptSegment =
  /** UTF-8 text. */
  | { readonly kind: "text"; readonly bytes: Uint8Array }
  /** A reference to an image, a video or audio, by URL or inline content. */
  | { readonly kind: "media"; readonly modality: "image" | "video" | "audio"; readonly reference: Uint8Array };

/** What a parser understood of a request body. Parts that cost something are functions, called only if somebody needs them. */
export interface ParsedRequest {
  readonly model: string | undefined;
  /** The client asked for a streamed answer. */
  readonly stream: boolean;
  readonly maxOutputTokens: number | undefined;
  /** Separates prefix caches of tenants. */
  readonly cacheSalt: string | undefined;
  /** The prompt's content in the engine's order; one list for each independent prompt. Empty where unknown. */
  promptSegments(): readonly (readonly PromptSegment[])[];
  /** Token ids where the client sent tokens itself; one array for each prompt. */
  promptTokenIds(): readonly Uint32Array[] | undefined;
  /** Media in the tokens of `promptTokenIds`, ordered by place; one list for each array of it. Absent where there are none. */
  promptFeatures?(): readonly (readonly MultiModalFeature[])[];
  /**
   * The body with another model name and every other byte unchanged, as slices to be sent in order.
   * Absent where the format has no model name to change.
   */
  rewriteModel?(model: string): readonly Uint8Array[];
  /** The answer carries nothing the picker can use: the response phase may be skipped. */
  readonly skipResponse?: boolean;
}

/** Token counts of an answer, as far as reported. */
export interface Usage {
  readonly promptTokens: number | undefined;
  readonly completionTokens: number | undefined;
  readonly totalTokens: number | undefined;
  readonly cachedTokens: number | undefined;
}

/** Reads one answer as it passes. Keeps what it needs between chunks, within a bound. */
export interface ResponseReader {
  /**
   * Takes the next bytes of the body and returns what to send on: the same array when nothing changes.
   * With `endOfStream`, everything held back is returned.
   */
  chunk(bytes: Uint8Array, endOfStream: boolean): Uint8Array;
  /** What has been reported so far. */
  readonly usage: Usage | undefined;
  /** Events of a stream so far, the terminator not counted; 0 when they are not counted. */
  readonly events: number;
  /** Bytes of the answer that are kept between chunks, to count them. None when absent. */
  readonly keptBytes?: number;
  /** Memory is short: gives up what is kept, and what would have come of it. Chunks pass on as before. */
  letGo?(): void;
}

export interface ResponseContext {
  readonly headers: Headers;
  /** The answer is an event stream. */
  readonly streaming: boolean;
  /** Replace `from` by `to` where the answer names the model. */
  readonly restoreModel: { readonly from: string; readonly to: string } | undefined;
  /** Nobody asks how many events came, so they need not be counted. */
  readonly ignoresEvents?: boolean;
}

/** Understands request bodies and answers of one API family. */
export interface Parser {
  /** Path suffixes this parser claims, without slashes at the ends; empty makes it the fallback. */
  readonly claims: readonly string[];
  /** Pool protocols it works with (`http`, `kubernetes.io/h2c`); empty means any. */
  readonly appProtocols: readonly string[];
  /** `path` has no query string. `body` is whole and stays unchanged as long as the request lives. Never throws. */
  parseRequest(path: string, headers: Headers, body: Uint8Array): ParsedRequest | RequestError;
  responseReader(request: ParsedRequest | undefined, context: ResponseContext): ResponseReader;
}
