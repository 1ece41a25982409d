import { type JsonValue, keepValue, members, rawBytes } from "@pointsman/core/json";
import { jsonText, RawJson } from "@pointsman/pd-sidecar/shared";
import { sameJson } from "../body/same-json.ts";

/** Collects where encode servers keep what they computed, by the image's hash. */
export class EcParams {
  readonly #found = new Map<string, JsonValue>();

  /**
   * Takes the `ec_transfer_params` of one answer. Values that are null are left out, equal ones count once. Returns false
   * when one differs from that of an earlier answer for the same hash.
   */
  add(params: JsonValue | undefined): boolean {
    const cursor = members(params);
    while (cursor.next()) {
      if (cursor.kind === "null") continue;
      const hash = cursor.key() ?? "";
      const before = this.#found.get(hash);
      if (before === undefined) this.#found.set(hash, keepValue(cursor));
      else if (!sameJson(before, cursor)) return false;
    }
    return true;
  }

  /** Missing values: undefined when there are none. */
  get text(): Uint8Array | undefined {
    if (this.#found.size === 0) return undefined;
    const entries = [...this.#found].map(([hash, value]) => [hash, new RawJson(rawBytes(value))] as const);
    return jsonText(Object.fromEntries(entries));
  }
}
