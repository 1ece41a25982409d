import { get, type JsonValue, rawBytes } from "@pointsman/core/json";
import { RawJson } from "@pointsman/pd-sidecar/shared";
import type { ImageEntry } from "../body/image-entry.ts";
import type { PromptTokens } from "../body/prompt-tokens.ts";
import type { EcParams } from "../connectors/ec-params.ts";
import type { KvTransfer } from "../connectors/kv-connector.ts";
import type { Exchange } from "../server/exchange.ts";
import type { Api } from "./api.ts";
import type { StepOutcome } from "./step.ts";

/** What the steps of one request know of it and tell each other. */
export interface RequestContext {
  readonly exchange: Exchange;
  readonly api: Api;
  /** The client's body, images in it once they have been fetched. */
  root: JsonValue;
  /** `undefined` until the prompt is rendered. */
  tokens: PromptTokens | undefined;
  images: readonly ImageEntry[];
  /** Where encode servers keep what they computed; `undefined` unless the servers say so in their answers. */
  ecParams: EcParams | undefined;
  kvTransfer: KvTransfer | undefined;
  /** `kv_transfer_params` of the prefill server's answer; `undefined` when it has none. */
  kvAnswered: JsonValue | undefined;
  /** A prefill that runs beside the steps after it. */
  alongside: { readonly ended: Promise<StepOutcome>; cancel(): void } | undefined;
}

export function newContext(exchange: Exchange, api: Api, root: JsonValue): RequestContext {
  return {
    exchange,
    api,
    root,
    tokens: undefined,
    images: [],
    ecParams: undefined,
    kvTransfer: undefined,
    kvAnswered: undefined,
    alongside: undefined,
  };
}

/** The client's `model`, as it stands in its body. Missing values: undefined for all that is not a text. */
export function modelText({ root }: RequestContext): RawJson | undefined {
  const model = get(root, "model");
  return model?.kind === "string" ? new RawJson(rawBytes(model)) : undefined;
}
