import type { JsonValue } from "@pointsman/core/json";
import { rawBytes } from "@pointsman/core/json";
import { jsonText, type PlainJson } from "../body/json-text.ts";
import { dataParallelRankHeader } from "../client/control-headers.ts";
import { decodeWriteParams, type MoriioSettings, newTransferId, prefillWriteMembers } from "./moriio-params.ts";
import { moriioRank } from "./moriio-rank.ts";

/** Parameters of one transfer between a prefill and a decode server. */
export interface NixlTransfer {
  readonly prefillMembers: { readonly [key: string]: PlainJson | undefined };
  readonly prefillHeaders: ReadonlyMap<string, string>;
  /** From the prefill server's parameters; undefined when its answer has none. */
  decode(answered: JsonValue | undefined): {
    readonly text: Uint8Array;
    readonly headers: ReadonlyMap<string, string>;
  };
}

/** Asks the prefill server to keep its cache for a reader. All six members have to be there. */
export const keepForReader: { readonly [key: string]: PlainJson } = {
  do_remote_decode: true,
  do_remote_prefill: false,
  remote_engine_id: null,
  remote_block_ids: null,
  remote_host: null,
  remote_port: null,
};

const nullText = jsonText(null);
const noHeaders: ReadonlyMap<string, string> = new Map();

/** The decode server reads the cache from where the prefill server says. */
export function readTransfer(requestId: string, ranks: number): NixlTransfer {
  return {
    prefillMembers: keepForReader,
    prefillHeaders: rankHeader(moriioRank(requestId, ranks), ranks),
    decode: (answered) => ({ text: answered === undefined ? nullText : rawBytes(answered), headers: noHeaders }),
  };
}

/** MoRI-IO: the prefill server writes the cache to the decode server, and tells it when that is done. */
export function writeTransfer(requestId: string, settings: MoriioSettings): NixlTransfer {
  const rank = moriioRank(requestId, settings.dpSize);
  const transferId = newTransferId();
  return {
    prefillMembers: { ...keepForReader, ...prefillWriteMembers(settings, rank, transferId) },
    prefillHeaders: rankHeader(rank, settings.dpSize),
    decode: (answered) => {
      if (answered?.kind !== "object") return { text: nullText, headers: noHeaders };
      const { text, rank: decodeRank } = decodeWriteParams(settings, answered, rank, transferId);
      return { text, headers: rankHeader(decodeRank, settings.dpSize) };
    },
  };
}

export function rankHeader(rank: number, ranks: number): ReadonlyMap<string, string> {
  return ranks > 1 ? new Map([[dataParallelRankHeader, String(rank)]]) : noHeaders;
}
