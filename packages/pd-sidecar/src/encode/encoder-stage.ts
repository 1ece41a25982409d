import { get, type JsonValue, members, rawBytes, scanJson } from "@pointsman/core/json";
import { capOutput, noStream } from "../body/api-kind.ts";
import { editRoot, type MemberEdits } from "../body/edit-object.ts";
import { jsonText } from "../body/json-text.ts";
import type { Exchange } from "../exchange.ts";
import type { StageReply, Stages } from "../stages.ts";
import { succeeded } from "../upstream/collect-reply.ts";
import type { Target } from "../upstream/target.ts";
import { failureText } from "../upstream/upstream-failure.ts";
import { multimodalItems } from "./multimodal-items.ts";

/** How encoder results get to the prefill server: `ec-example` over a store, `ec-nixl` by parameters in the answers. */
export type EcConnectorName = "ec-example" | "ec-nixl";

export interface EncoderStageOptions {
  readonly connector: EcConnectorName;
  /** Items that are encoded at the same time. */
  readonly maxParallel: number;
}

export type EncodeOutcome =
  | {
      readonly kind: "encoded";
      /** Edits of the prefill and the decode request. */
      readonly edits: MemberEdits;
      /** Items that were encoded; 0 for a request of text alone. */
      readonly items: number;
    }
  /** The client has got its answer, or has left. */
  | { readonly kind: "answered" };

const zero = jsonText(0);
const maxProblemCharacters = 2048;

/** Has every multimodal part of a chat encoded by a server of its own, before prefill. */
export class EncoderStage {
  readonly #stages: Stages;
  readonly #options: EncoderStageOptions;

  constructor(stages: Stages, options: EncoderStageOptions) {
    this.#stages = stages;
    this.#options = options;
  }

  /** `encoders` has at least one. */
  async run(exchange: Exchange, root: JsonValue, encoders: readonly Target[]): Promise<EncodeOutcome> {
    const items = multimodalItems(root);
    const replies: StageReply[] = [];
    exchange.facts["encoderItems"] = items.length;
    const problem = await this.#fanOut(exchange, root, items, encoders, replies);
    if (exchange.cancellation.isCancelled) return { kind: "answered" };
    if (problem !== undefined) {
      exchange.fail("BadGateway", problem);
      return { kind: "answered" };
    }
    const edits = new Map<string, Uint8Array | undefined>([["cache_hit_threshold", zero]]);
    if (this.#options.connector === "ec-nixl" && items.length > 0) {
      const merged = mergeParams(exchange, replies);
      if (typeof merged === "string") {
        exchange.fail("BadGateway", merged);
        return { kind: "answered" };
      }
      if (merged.size > 0) edits.set("ec_transfer_params", objectOf(merged));
    }
    return { kind: "encoded", edits, items: items.length };
  }

  /** Returns what went wrong first. The others are cancelled then. */
  async #fanOut(
    exchange: Exchange,
    root: JsonValue,
    items: readonly Uint8Array[],
    encoders: readonly Target[],
    replies: StageReply[],
  ): Promise<string | undefined> {
    const { cancellation, release } = exchange.cancellation.child();
    const requestId = exchange.request.identify();
    const open = Buffer.from('[{"role":"user","content":[');
    const close = Buffer.from("]}]");
    let problem: string | undefined;
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let index = next++; index < items.length && problem === undefined; index = next++) {
        const edits = new Map<string, Uint8Array | undefined>();
        edits.set("messages", Buffer.concat([open, items[index]!, close]));
        capOutput(edits, "chat_completions", root, false);
        noStream(edits);
        const target = encoders[index % encoders.length]!;
        const id = `${requestId}-enc-${index}`;
        const reply = await this.#stages.encode(exchange, target, editRoot(root, edits), id, cancellation);
        replies[index] = reply;
        if (succeeded(reply)) continue;
        problem ??= `encoding item ${index} failed: ${whatFailed(reply)}`;
        cancellation.cancel();
      }
    };
    await Promise.all(Array.from({ length: Math.min(items.length, this.#options.maxParallel) }, worker));
    release();
    return problem;
  }
}

/** Collects the parameters by hash. Of two that differ under one hash, the first counts: either server has the result. */
function mergeParams(exchange: Exchange, replies: readonly StageReply[]): Map<string, Uint8Array> | string {
  const merged = new Map<string, Uint8Array>();
  for (const [index, reply] of replies.entries()) {
    if (!reply.answered) continue;
    const document = scanJson(reply.body);
    if (!document.ok) return `encoding item ${index} failed: its answer is no JSON: ${document.message}`;
    const cursor = members(get(document.root, "ec_transfer_params"));
    while (cursor.next()) {
      const key = cursor.key() ?? "";
      const value = rawBytes(cursor);
      const before = merged.get(key);
      if (before === undefined) merged.set(key, value);
      else if (!Buffer.from(before).equals(value)) {
        exchange.metrics.encoderConflicts.inc();
        exchange.logger.warn(
          { requestId: exchange.request.requestId, item: index },
          "encoder results differ for one hash",
        );
      }
    }
  }
  return merged;
}

function whatFailed(reply: StageReply): string {
  if (!reply.answered) return failureText(reply.failure);
  return `status ${reply.status}: ${reply.body.toString("utf8", 0, maxProblemCharacters)}`;
}

function objectOf(members: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const slices: Uint8Array[] = [];
  let separator = "{";
  for (const [key, value] of members) {
    slices.push(Buffer.from(`${separator}${JSON.stringify(key)}:`), value);
    separator = ",";
  }
  return Buffer.concat([...slices, Buffer.from("}")]);
}
