import { ApiError } from "../http/api-error.ts";
import { readObject, wrongType } from "./request-fields.ts";

type Document = Readonly<Record<string, unknown>>;

export const serverRoles = ["both", "prefill", "decode", "encode"] as const;
/** Which stages of a disaggregated request a server takes. */
export type ServerRole = (typeof serverRoles)[number];

/** What a request says about the KV cache of other servers. */
export interface TransferRequest {
  /** The prompt's cache comes from another server. */
  readonly receives: boolean;
  /** The reply has to say where the prompt's cache is. */
  readonly keeps: boolean;
  /** Share of the prompt that must be cached, or the request is declined. Missing values: undefined. */
  readonly cacheHitThreshold: number | undefined;
  /** The reply has to say where the images' embeddings are. */
  readonly encodes: boolean;
}

/**
 * Reads the fields of vLLM's and SGLang's connectors: `kv_transfer_params` with `do_remote_decode`, `do_remote_prefill`,
 * `remote_decoder` or `remote_prefiller`, `ec_transfer_params`, both also in `sampling_params.extra_args`,
 * `bootstrap_room`, and `cache_hit_threshold`. Throws `ApiError` 400 for fields of the wrong kind and for a stage that a
 * server of this role does not take.
 */
export function readTransferRequest(document: Document, role: ServerRole): TransferRequest {
  const extra = readObject(readObject(document, "sampling_params") ?? {}, "extra_args") ?? {};
  const params = readObject(document, "kv_transfer_params") ?? readObject(extra, "kv_transfer_params") ?? {};
  checkEmbeddings(readObject(document, "ec_transfer_params") ?? readObject(extra, "ec_transfer_params") ?? {});
  const keeps = params["do_remote_decode"] === true;
  const forDecoder = keeps || readObject(params, "remote_decoder") !== undefined;
  const receives =
    params["do_remote_prefill"] === true ||
    readObject(params, "remote_prefiller") !== undefined ||
    // Both servers of SGLang get the same body; the role tells them apart.
    (role === "decode" && document["bootstrap_room"] !== undefined && document["bootstrap_room"] !== null);
  if (role === "decode" && forDecoder) throw wrongRole(role, "kv_transfer_params asks for a prefill");
  if (role === "prefill" && receives) throw wrongRole(role, "kv_transfer_params asks for a decode");
  if (role === "encode" && (forDecoder || receives)) throw wrongRole(role, "kv_transfer_params asks for more");
  return { receives, keeps, cacheHitThreshold: readThreshold(document), encodes: role === "encode" };
}

/** Each must say where to fetch it. */
function checkEmbeddings(params: Document): void {
  for (const hash of Object.keys(params)) {
    const field = "ec_transfer_params";
    const { peer_host: host, peer_port: port } = readObject(params, hash) ?? {};
    if (typeof host !== "string" || typeof port !== "number") {
      throw wrongType(field, "an object of objects with peer_host and peer_port", params[hash]);
    }
  }
}

function readThreshold(document: Document): number | undefined {
  const field = "cache_hit_threshold";
  const value = document[field] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw wrongType(field, "a number from 0 to 1", value);
}

function wrongRole(role: ServerRole, what: string): ApiError {
  return new ApiError(400, `This server has the role ${role}, but ${what}.`, { param: "kv_transfer_params" });
}
