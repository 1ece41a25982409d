import { randomUUID } from "node:crypto";
import { get, type JsonValue, numberValue } from "@pointsman/core/json";
import { editObject } from "../body/edit-object.ts";
import { jsonText, type PlainJson } from "../body/json-text.ts";
import type { Target } from "../upstream/target.ts";
import type { MoriioHosts } from "./moriio-hosts.ts";

/** How MoRI-IO engines find each other. */
export interface MoriioSettings {
  readonly localPodIp: string;
  readonly decodeNotifyPort: number;
  readonly decodeHandshakePort: number;
  readonly prefillNotifyPort: number;
  readonly prefillHandshakePort: number;
  readonly tpSize: number;
  readonly dpSize: number;
  readonly dpSizeLocal: number;
  /** Of the prefill side; `undefined` when there is only the one of the header. */
  readonly prefillHosts: MoriioHosts | undefined;
  readonly decodeHosts: MoriioHosts | undefined;
}

export function newTransferId(): string {
  return `tx${randomUUID()}`;
}

/** Members that tell the prefill server where to write its cache to, beside those that keep it. */
export function prefillWriteMembers(
  settings: MoriioSettings,
  rank: number,
  transferId: string,
): { readonly [key: string]: PlainJson | undefined } {
  return {
    remote_host: settings.localPodIp,
    remote_notify_port: settings.decodeNotifyPort,
    remote_dp_rank: rank,
    remote_dp_rank_override: true,
    remote_handshake_port: settings.decodeHandshakePort,
    transfer_id: transferId,
    tp_size: settings.tpSize,
    remote_dp_size: settings.dpSize,
    ...hostMembers(settings, settings.decodeHosts),
  };
}

/** The decode server's parameters from the prefill server's answer: what is missing is filled in. */
export function decodeWriteParams(
  settings: MoriioSettings,
  answered: JsonValue,
  hashRank: number,
  transferId: string,
): { readonly text: Uint8Array; readonly rank: number } {
  const answeredRank = numberValue(get(answered, "remote_dp_rank"));
  const isRank =
    answeredRank !== undefined && Number.isInteger(answeredRank) && answeredRank >= 0 && answeredRank < settings.dpSize;
  const rank = isRank ? answeredRank : hashRank;
  const edits = new Map<string, Uint8Array>([
    ["remote_dp_rank", jsonText(rank)],
    ["remote_dp_rank_override", jsonText(true)],
  ]);
  const filled: { readonly [key: string]: PlainJson | undefined } = {
    transfer_id: transferId,
    remote_notify_port: settings.decodeNotifyPort,
    remote_handshake_port: settings.decodeHandshakePort,
    remote_dp_size: settings.dpSize,
    ...hostMembers(settings, settings.prefillHosts),
  };
  for (const [key, value] of Object.entries(filled)) {
    if (value !== undefined && get(answered, key) === undefined) edits.set(key, jsonText(value));
  }
  return { text: Buffer.concat(editObject(answered, edits)), rank };
}

/** The decode server's parameters where both servers are asked at the same time. */
export function decodeParallelParams(
  settings: MoriioSettings,
  prefill: Target,
  rank: number,
  transferId: string,
): { readonly [key: string]: PlainJson | undefined } {
  const host = prefill.host.includes(":") ? `[${prefill.host}]` : prefill.host;
  return {
    do_remote_prefill: true,
    do_remote_decode: false,
    remote_engine_id: `${host}:${settings.prefillHandshakePort}`,
    remote_block_ids: [],
    remote_host: prefill.host,
    remote_port: settings.prefillHandshakePort,
    remote_notify_port: settings.prefillNotifyPort,
    remote_dp_rank: rank,
    remote_dp_rank_override: true,
    remote_handshake_port: settings.prefillHandshakePort,
    transfer_id: transferId,
    tp_size: settings.tpSize,
    remote_dp_size: settings.dpSize,
    ...hostMembers(settings, settings.prefillHosts),
  };
}

function hostMembers(settings: MoriioSettings, hosts: MoriioHosts | undefined): { readonly [key: string]: PlainJson } {
  if (hosts === undefined) return {};
  const { dpSizeLocal } = settings;
  return { remote_hosts: hosts.addresses, ...(dpSizeLocal > 0 ? { remote_dp_size_local: dpSizeLocal } : {}) };
}
