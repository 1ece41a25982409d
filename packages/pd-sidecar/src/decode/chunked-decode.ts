import {
  elements,
  get,
  type JsonValue,
  keepValue,
  numberValue,
  rawBytes,
  scanJson,
  stringValue,
} from "@pointsman/core/json";
import { editRoot } from "../body/edit-object.ts";
import { jsonText, type PlainJson, RawJson } from "../body/json-text.ts";
import type { Exchange } from "../exchange.ts";
import { relayWhole, type Stages } from "../stages.ts";
import { isSuccess } from "../upstream/collect-reply.ts";
import { failureText } from "../upstream/upstream-failure.ts";
import { type ChunkReply, joinedReply, readChunk, totalUsage } from "./chunk-reply.ts";

const chatPath = "/v1/chat/completions";
/** Name of the fallback in the metrics. */
export const wholeDecodeFallback = "whole-decode";

/** Members whose presence makes an answer that cannot be taken up again in its middle. */
const unsplittable = ["tools", "functions", "logprobs", "top_logprobs", "response_format", "continue_final_message"];

interface ChunkState {
  text: string;
  tokens: number;
  first: ChunkReply | undefined;
}

/**
 * Lets the decode server generate a long answer in several short requests, each continuing the text of those before, so
 * that no request holds its place in the batch for long.
 */
export class ChunkedDecode {
  readonly #stages: Stages;
  readonly #chunkTokens: number;

  constructor(stages: Stages, chunkTokens: number) {
    this.#stages = stages;
    this.#chunkTokens = chunkTokens;
  }

  /** Tells whether an answer is made in chunks: a chat whose limit is longer than one, and which can be continued. */
  applies(exchange: Exchange, root: JsonValue): boolean {
    if (exchange.request.path !== chatPath) return false;
    const limit = outputLimit(root);
    if (limit !== undefined && limit <= this.#chunkTokens) return false;
    const splittable =
      get(root, "messages")?.kind === "array" &&
      (numberValue(get(root, "n")) ?? 1) === 1 &&
      !unsplittable.some((name) => isSet(get(root, name)));
    if (!splittable) exchange.metrics.fallbacks.labels(wholeDecodeFallback).inc();
    return splittable;
  }

  /**
   * Answers the client. Returns the body of one request, with nothing sent, when the answer has to be made in one after
   * all: the transferred cache is used up, and the decode server has the prompt.
   */
  async run(
    exchange: Exchange,
    body: readonly Uint8Array[],
    headers: ReadonlyMap<string, string> | undefined,
    cachedTokens: Uint8Array | undefined,
  ): Promise<readonly Uint8Array[] | undefined> {
    const document = scanJson(Buffer.concat(body));
    if (!document.ok) return body;
    const { root } = document;
    const stream = get(root, "stream")?.kind === "true";
    const limit = outputLimit(root) ?? Number.POSITIVE_INFINITY;
    const state: ChunkState = { text: "", tokens: 0, first: undefined };
    for (;;) {
      const asked = Math.min(this.#chunkTokens, limit - state.tokens);
      const reply = await this.#stages.decodeWhole(exchange, chunkBody(root, state, asked), headers);
      if (exchange.cancellation.isCancelled) return undefined;
      if (!reply.answered) {
        fail(exchange, reply.failure.kind === "connect-refused", `decode server: ${failureText(reply.failure)}`);
        return undefined;
      }
      if (!isSuccess(reply.status)) {
        if (exchange.reply.headSent) errorEvent(exchange, `decode server: status ${reply.status}`);
        else relayWhole(exchange, reply);
        return undefined;
      }
      const scanned = scanJson(reply.body);
      if (!scanned.ok) {
        fail(exchange, false, `the decode server's answer is no JSON: ${scanned.message}`, "InternalError");
        return undefined;
      }
      const chunk = readChunk(scanned);
      const isFirst = state.first === undefined;
      // A document may end with such output; events are made of text alone.
      if (chunk.hasOtherOutput && !exchange.reply.headSent && (stream || chunk.finishReason === "length")) {
        exchange.metrics.fallbacks.labels(wholeDecodeFallback).inc();
        return editRoot(root, new Map([["kv_transfer_params", undefined]]));
      }
      state.first ??= chunk;
      state.text += chunk.text;
      state.tokens += chunk.completionTokens ?? asked;
      const isLast = ends(chunk) || state.tokens >= limit;
      if (stream) sendDelta(exchange, state.first, chunk, isFirst, isLast);
      if (!isLast) continue;
      const usage = totalUsage(state.first, state.tokens, cachedTokens);
      if (stream) {
        sendEvent(exchange, { ...eventBase(state.first), choices: [], usage: new RawJson(usage) }, false);
        exchange.reply.sendBytes(Buffer.from("data: [DONE]\n\n"), true);
      } else {
        const joined = joinedReply(state.first, chunk, state.text, usage);
        exchange.reply.sendWhole(200, undefined, joined, ["content-type", "application/json"]);
      }
      return undefined;
    }
  }
}

/** The most tokens a client wants. Missing values: undefined for a request without a limit. */
function outputLimit(root: JsonValue): number | undefined {
  for (const name of ["max_completion_tokens", "max_tokens"]) {
    const value = numberValue(get(root, name));
    if (value !== undefined && value > 0) return value;
  }
  return undefined;
}

/** `false`, `null` and an empty list ask for nothing. */
function isSet(value: JsonValue | undefined): boolean {
  if (value === undefined || value.kind === "null" || value.kind === "false") return false;
  return value.kind !== "array" || elements(value).next();
}

function chunkBody(root: JsonValue, state: ChunkState, tokens: number): Uint8Array[] {
  const edits = new Map<string, Uint8Array | undefined>([
    ["max_tokens", jsonText(tokens)],
    ["max_completion_tokens", jsonText(tokens)],
    ["stream", jsonText(false)],
    ["stream_options", undefined],
  ]);
  const least = numberValue(get(root, "min_tokens"));
  if (least !== undefined) edits.set("min_tokens", jsonText(Math.max(0, Math.min(least - state.tokens, tokens))));
  if (state.first !== undefined) {
    edits.set("kv_transfer_params", undefined);
    if (state.text !== "") {
      edits.set("messages", withAnswer(get(root, "messages")!, state.text));
      edits.set("continue_final_message", jsonText(true));
      edits.set("add_generation_prompt", jsonText(false));
    }
  }
  return editRoot(root, edits);
}

/** The messages and what has been answered so far, as one message. */
function withAnswer(messages: JsonValue, text: string): Uint8Array {
  const hasOthers = elements(messages).next();
  const answer = jsonText({ role: "assistant", content: text });
  const list = rawBytes(messages);
  return Buffer.concat([list.subarray(0, -1), Buffer.from(hasOthers ? "," : ""), answer, Buffer.from("]")]);
}

function ends(chunk: ChunkReply): boolean {
  if (chunk.finishReason !== "" && chunk.finishReason !== "length") return true;
  return chunk.text === "" && (chunk.completionTokens ?? 0) === 0;
}

function eventBase(first: ChunkReply): { readonly [key: string]: PlainJson } {
  const base: Record<string, PlainJson> = {};
  const { root } = first.document;
  for (const key of ["id", "created", "model"]) {
    const value = get(root, key);
    if (value !== undefined) base[key] = new RawJson(rawBytes(keepValue(value)));
  }
  return { ...base, object: "chat.completion.chunk" };
}

function sendDelta(exchange: Exchange, first: ChunkReply, chunk: ChunkReply, isFirst: boolean, isLast: boolean): void {
  const { reply } = exchange;
  if (!reply.headSent) {
    const fields = ["content-type", "text/event-stream; charset=utf-8", "cache-control", "no-cache"];
    reply.sendHead(200, undefined, undefined, fields);
  }
  const finishReason = isLast ? (stringValue(get(chunk.choice, "finish_reason")) ?? "length") : null;
  const delta = { ...(isFirst ? { role: "assistant" } : {}), content: chunk.text };
  sendEvent(exchange, { ...eventBase(first), choices: [{ index: 0, delta, finish_reason: finishReason }] }, false);
}

function sendEvent(exchange: Exchange, event: PlainJson, last: boolean): void {
  exchange.reply.sendBytes(Buffer.concat([Buffer.from("data: "), jsonText(event), Buffer.from("\n\n")]), last);
}

/** Ends a stream that has begun with an error its reader can see. */
function errorEvent(exchange: Exchange, message: string): void {
  sendEvent(exchange, { error: { message, type: "BadGateway", param: null, code: 502 } }, false);
  exchange.reply.sendBytes(Buffer.from("data: [DONE]\n\n"), true);
}

function fail(
  exchange: Exchange,
  isRefused: boolean,
  message: string,
  type: "BadGateway" | "InternalError" = "BadGateway",
): void {
  if (exchange.reply.headSent) errorEvent(exchange, message);
  else exchange.fail(isRefused ? "ServiceUnavailable" : type, message);
}
