import { get } from "@pointsman/core/json";
import { editObject, editRoot } from "@pointsman/pd-sidecar/shared";
import { imageParts } from "../body/image-parts.ts";
import { spliceValues } from "../body/splice-values.ts";
import type { RequestContext } from "../pipeline/request-context.ts";
import { tokensText } from "./tokens-text.ts";

type Edits = Map<string, Uint8Array | undefined>;

/**
 * The client's body for a decode server. It goes to the client's path, so that path says where things stand in it.
 * `kv`: JSON text of `kv_transfer_params`; undefined for a request that has to find everything in the server's cache.
 */
export function decodeBody(context: RequestContext, kv: Uint8Array | undefined): Uint8Array[] {
  const { root, api, tokens } = context;
  const edits: Edits = new Map();
  switch (api) {
    case "chat": {
      const text = tokensText(context);
      if (text !== undefined) edits.set("tokens", text);
      if (kv !== undefined) identifyImages(context, edits);
      break;
    }
    case "completions":
      if (tokens !== undefined && tokens.ids.length > 0) edits.set("prompt", tokens.text);
      break;
    case "generate":
      inExtraArgs(context, edits, kv);
  }
  // What a client sends under these names is not what the other phases said.
  edits.set("kv_transfer_params", api === "generate" ? undefined : kv);
  edits.set("ec_transfer_params", undefined);
  return editRoot(root, edits);
}

/** Engines that generate from token ids read the parameters here only. */
function inExtraArgs({ root }: RequestContext, edits: Edits, kv: Uint8Array | undefined): void {
  const sampling = get(root, "sampling_params");
  const given = get(sampling, "extra_args");
  if (kv === undefined && given?.kind !== "object") return;
  const params: Edits = new Map();
  params.set("kv_transfer_params", kv);
  params.set("ec_transfer_params", undefined);
  const extra = editObject(given, params);
  edits.set("sampling_params", Buffer.concat(editObject(sampling, new Map([["extra_args", Buffer.concat(extra)]]))));
}

/** Names each image by its hash, under which the prefill server has computed it. */
function identifyImages({ root, images }: RequestContext, edits: Edits): void {
  const messages = get(root, "messages");
  if (images.length === 0 || messages === undefined) return;
  const parts = imageParts(root).map(({ part }, i) => {
    const hash = images[i]?.hash;
    return { value: part, text: hash === undefined ? [] : editObject(part, new Map([["uuid", hash]])) };
  });
  edits.set("messages", Buffer.concat(spliceValues(messages, parts)));
}
