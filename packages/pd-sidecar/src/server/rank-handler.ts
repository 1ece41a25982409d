import { type JsonValue, scanJson } from "@pointsman/core/json";
import { type ApiKind, apiKindOf } from "../body/api-kind.ts";
import { editRoot } from "../body/edit-object.ts";
import { jsonText } from "../body/json-text.ts";
import { textReply } from "../client/error-reply.ts";
import { readBody } from "../client/read-body.ts";
import type { KvConnector } from "../connectors/connector.ts";
import { type P2pPorts, remoteKvSource } from "../connectors/kv-source.ts";
import type { DecodeLeg } from "../decode/decode-leg.ts";
import type { EncoderStage } from "../encode/encoder-stage.ts";
import type { Exchange, Way } from "../exchange.ts";
import type { Stages } from "../stages.ts";
import type { AllowedTargets } from "../targets/allowed-targets.ts";
import type { Target } from "../upstream/target.ts";
import { type ControlTargets, controlTargets, dataParallelTarget } from "./control-targets.ts";
import { passThrough } from "./pass-through.ts";

/** What the requests of one rank go through. Each rank has its own. */
export interface RankParts {
  readonly stages: Stages;
  readonly connector: KvConnector;
  readonly decodeLeg: DecodeLeg;
  readonly encoder: EncoderStage | undefined;
  readonly allowed: AllowedTargets;
  readonly samples: boolean;
  readonly p2p: P2pPorts;
  /** The address under which peers know this rank; `undefined` when the pod's address is not known. */
  readonly ownHostPort: () => string | undefined;
  /** Model servers of all ranks by the address of their sidecars; `undefined` but on rank 0. */
  readonly rankOf: ((hostPort: string) => Target | undefined) | undefined;
  /** Chats are decoded in chunks. */
  readonly chunks: boolean;
  readonly maxBodyBytes: number;
}

/** Finds the way of each request by its path and the picker's headers. */
export class RankHandler {
  readonly #parts: RankParts;

  constructor(parts: RankParts) {
    this.#parts = parts;
  }

  /** Tells whether a request is one for the model, which stages serve. */
  infers({ request }: Exchange): boolean {
    return request.method === "POST" && apiKindOf(request.path) !== undefined;
  }

  /** Answers a request. Rejects only for a bug. */
  async handle(exchange: Exchange): Promise<void> {
    const { method, path } = exchange.request;
    const coding = exchange.req.headers["transfer-encoding"];
    if (coding !== undefined && coding.trim().toLowerCase() !== "chunked") {
      // What only this connection decodes must not arrive as something else.
      exchange.fail("NotImplemented", "a transfer coding other than chunked");
      return;
    }
    if (path === "/health" && (method === "GET" || method === "HEAD")) {
      exchange.reply.sendWhole(200, undefined, new Uint8Array(0));
      return;
    }
    const api = method === "POST" ? apiKindOf(path) : undefined;
    if (api === undefined) await passThrough(exchange, this.#parts.stages);
    else await this.#infer(exchange, api);
  }

  async #infer(exchange: Exchange, api: ApiKind): Promise<void> {
    const { allowed, samples, connector, encoder } = this.#parts;
    exchange.take("decode");
    const targets = controlTargets(exchange, {
      allowed,
      samples,
      pullsFromSources: connector.pullsFromSources,
      encodes: encoder !== undefined,
    });
    if (targets.prefill === "denied") {
      exchange.take("refused");
      exchange.respond(textReply(403, "Forbidden: prefill target not allowed by SSRF protection"));
      return;
    }
    if (targets.prefill === "malformed") {
      exchange.take("refused");
      exchange.fail("BadRequestError", "x-prefiller-host-port is not host:port");
      return;
    }
    const named = this.#nameRank(exchange);
    if (named === "unknown") {
      exchange.take("refused");
      exchange.fail("BadRequestError", "x-data-parallel-host-port names no rank of this sidecar");
      return;
    }
    if (this.#needsBody(exchange, targets, named)) await this.#withBody(exchange, api, targets, named);
    else await passThrough(exchange, this.#parts.stages);
  }

  /** Rank 0 passes requests on to the rank that they name. */
  #nameRank(exchange: Exchange): "named" | "unnamed" | "unknown" {
    const { rankOf } = this.#parts;
    const name = rankOf === undefined ? undefined : dataParallelTarget(exchange);
    if (rankOf === undefined || name === undefined) return "unnamed";
    exchange.decoder = rankOf(name);
    return exchange.decoder === undefined ? "unknown" : "named";
  }

  #needsBody(exchange: Exchange, { prefill, encoders, kvSource }: ControlTargets, named: string): boolean {
    if (prefill !== undefined || encoders.length > 0) return true;
    if (named === "named") return false;
    return kvSource !== undefined || (this.#parts.chunks && exchange.request.path === "/v1/chat/completions");
  }

  async #withBody(exchange: Exchange, api: ApiKind, targets: ControlTargets, named: string): Promise<void> {
    const { maxBodyBytes, encoder } = this.#parts;
    const outcome = await readBody(exchange.req, maxBodyBytes);
    if (outcome.kind === "gone") return;
    if (outcome.kind === "too-large") {
      exchange.take("refused");
      exchange.fail("PayloadTooLarge", `the request's body exceeds ${maxBodyBytes} bytes`);
      return;
    }
    const document = scanJson(outcome.body);
    const problem = !document.ok
      ? document.message
      : document.root.kind === "object"
        ? undefined
        : `the body is ${withArticle(document.root.kind)}, not an object`;
    if (!document.ok || problem !== undefined) {
      exchange.take("refused");
      exchange.fail("BadRequestError", `invalid JSON: ${problem}`);
      return;
    }
    const { root } = document;
    // Refusals have ended above.
    const prefill = typeof targets.prefill === "object" ? targets.prefill : undefined;
    if (encoder !== undefined && targets.encoders.length > 0) {
      await this.#encoded(exchange, root, api, prefill, targets.encoders, encoder);
    } else if (prefill !== undefined) {
      await this.#prefilled(exchange, root, api, prefill, targets.kvSource, new Map(), "prefill-decode");
    } else if (named === "unnamed") await this.#decoded(exchange, root, api, targets.kvSource, outcome.body);
  }

  async #encoded(
    exchange: Exchange,
    root: JsonValue,
    api: ApiKind,
    prefill: Target | undefined,
    encoders: readonly Target[],
    encoder: EncoderStage,
  ): Promise<void> {
    exchange.take(prefill === undefined ? "encode-decode" : "encode-prefill-decode");
    const outcome = await encoder.run(exchange, root, encoders);
    if (outcome.kind === "answered") return;
    const { edits, items } = outcome;
    if (prefill !== undefined) {
      const way = items === 0 ? "prefill-decode" : "encode-prefill-decode";
      await this.#prefilled(exchange, root, api, prefill, undefined, edits, way);
    } else {
      if (items === 0) exchange.take("decode");
      await this.#parts.stages.decode(exchange, editRoot(root, edits)).ended;
    }
  }

  async #prefilled(
    exchange: Exchange,
    root: JsonValue,
    api: ApiKind,
    prefill: Target,
    kvSource: Target | undefined,
    encoded: ReadonlyMap<string, Uint8Array | undefined>,
    way: Way,
  ): Promise<void> {
    exchange.take(way);
    await this.#parts.connector.serve({ exchange, root, api, prefill, kvSource, encoded });
  }

  async #decoded(
    exchange: Exchange,
    root: JsonValue,
    api: ApiKind,
    kvSource: Target | undefined,
    body: Uint8Array,
  ): Promise<void> {
    const { p2p, ownHostPort, decodeLeg } = this.#parts;
    const isOwn = kvSource === undefined || kvSource.hostPort === ownHostPort();
    const edited = isOwn
      ? [body]
      : editRoot(
          root,
          new Map([["kv_transfer_params", jsonText({ remote_kv_source: remoteKvSource(kvSource, p2p) })]]),
        );
    await decodeLeg.run(exchange, root, edited, { api });
  }
}

function withArticle(kind: JsonValue["kind"]): string {
  if (kind === "array") return "an array";
  return kind === "string" || kind === "number" ? `a ${kind}` : kind;
}
