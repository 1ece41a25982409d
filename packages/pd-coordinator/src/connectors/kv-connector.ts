import type { JsonValue } from "@pointsman/core/json";
import { editObject, jsonText, keepForReader, newBootstrapRoom, RawJson } from "@pointsman/pd-sidecar/shared";
import type { KvConnectorName, SglangOptions } from "../config/coordinator-options.ts";

/** The `kv_transfer_params` of one request's two phases. */
export interface KvTransfer {
  readonly name: KvConnectorName;
  readonly prefill: Uint8Array;
  /** Prefill waits for decode, so that both have to run at the same time. */
  readonly sideBySide: boolean;
  /** `answered`: those of the prefill server's answer; undefined when it has none. */
  decode(answered: JsonValue | undefined): Uint8Array;
}

const forDecode = { do_remote_decode: false, do_remote_prefill: true };
const decodeFlags: ReadonlyMap<string, Uint8Array> = new Map(
  Object.entries(forDecode).map(([name, value]) => [name, jsonText(value)]),
);
const forPrefill = { do_remote_decode: true, do_remote_prefill: false };

const nullText = jsonText(null);

/** Parameters for a new request. */
export function newKvTransfer(name: KvConnectorName, sglang: SglangOptions): KvTransfer {
  if (name === "kv-sglang") return sglangTransfer(sglang);
  return {
    name,
    prefill: jsonText(name === "kv-nixl" ? keepForReader : forPrefill),
    sideBySide: false,
    decode: (answered) => decodeParams(name, answered),
  };
}

/**
 * What a connector makes of a prefill server's answer for decode. It holds after a prefill of another connector too, and
 * without any.
 */
export function decodeParams(name: KvConnectorName, answered: JsonValue | undefined): Uint8Array {
  switch (name) {
    case "kv-shared-storage":
      return jsonText(forDecode);
    case "kv-nixl":
      // A server that is told to read blocks of nobody fails; without parameters it computes the prompt itself.
      return answered === undefined ? nullText : withFlags(answered);
    case "kv-sglang":
      return withFlags(answered);
  }
}

function withFlags(answered: JsonValue | undefined): Uint8Array {
  return Buffer.concat(editObject(answered, decodeFlags));
}

/** Where the prefill server's host is known, decode needs nothing of its answer. */
function sglangTransfer({ bootstrapPort, bootstrapHost }: SglangOptions): KvTransfer {
  const room = new RawJson(newBootstrapRoom());
  const meeting = { bootstrap_host: bootstrapHost, bootstrap_port: bootstrapPort, bootstrap_room: room };
  const name = "kv-sglang";
  const prefill = jsonText({ ...forPrefill, ...meeting });
  if (bootstrapHost === undefined) return { name, prefill, sideBySide: false, decode: withFlags };
  return { name, prefill, sideBySide: true, decode: () => jsonText({ ...forDecode, ...meeting }) };
}
