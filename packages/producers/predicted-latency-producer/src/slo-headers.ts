import { aliasedHeaders, type Headers } from "@pointsman/core";

/** A request's objectives, milliseconds; `undefined` where it has none. */
export interface RequestSlos {
  readonly ttftMs: number | undefined;
  readonly tpotMs: number | undefined;
  /** Headers whose value is no number. */
  readonly unreadable: readonly string[];
}

/** Reads the objectives of a request. 0 and below is none; what is no number is none and unreadable. */
export function sloHeaders(headers: Headers): RequestSlos {
  const unreadable: string[] = [];
  const read = (names: readonly [current: string, deprecated: string]): number | undefined => {
    const text = headers.getAliased(names)?.trim();
    if (text === undefined) return undefined;
    const value = text === "" ? Number.NaN : Number(text);
    if (Number.isFinite(value)) return value > 0 ? value : undefined;
    unreadable.push(names[0]);
    return undefined;
  };
  return { ttftMs: read(aliasedHeaders.sloTtftMs), tpotMs: read(aliasedHeaders.sloTpotMs), unreadable };
}
