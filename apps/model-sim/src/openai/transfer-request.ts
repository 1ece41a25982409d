import { ApiError } from "../http/api-error.ts";
import { readObject, wrongType } from "./request-fields.ts";

type Document = Readonly<Record<string, unknown>>;

export const serverRoles = ["both", "prefill", "decode"] as const;
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
}

/**
 * Reads the fields of vLLM's and SGLang's connectors: `kv_transfer_params` with `do_remote_decode`, `do_remote_prefill`,
 * `remote_decoder` or `remote_prefiller`, `bootstrap_room`, and `cache_hit_threshold`. Throws `ApiError` 400 for fields of
 * the wrong kind and for a stage that a server of this role does not take.
 */
export function readTransferRequest(document: Document, role: ServerRole): TransferRequest {
  const params = readObject(document, "kv_transfer_params") ?? {};
  const keeps = params["do_remote_decode"] === true;
  const forDecoder = keeps || readObject(params, "remote_decoder") !== undefined;
  const receives =
    params["do_remote_prefill"] === true ||
    readObject(params, "remote_prefiller") !== undefined ||
    // Both servers of SGLang get the same body; the role tells them apart.
    (role === "decode" && document["bootstrap_room"] !== undefined && document["bootstrap_room"] !== null);
  if (role === "decode" && forDecoder) throw wrongRole(role, "kv_transfer_params asks for a prefill");
  if (role === "prefill" && receives) throw wrongRole(role, "kv_transfer_params asks for a decode");
  return { receives, keeps, cacheHitThreshold: readThreshold(document) };
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
