import type { IncomingMessage } from "node:http";
import { isConnectionField, listedByConnection } from "@pointsman/http-proxy/http1";

/**
 * Of a client these do not reach a server: what each call sets itself, and what would steer it. `prefer` is among the
 * latter: a phase that is not a conditional decode must not be refused for an empty cache.
 */
const ownFields: ReadonlySet<string> = new Set([
  "content-length",
  "content-type",
  "epp-profile",
  "expect",
  "host",
  "prefer",
  "trailer",
  "x-request-id",
]);

/** A client's headers as they go on to servers. */
export class ForwardedHeaders {
  readonly #req: IncomingMessage;
  /** Names in lower case and values in turn. */
  readonly #fields: string[] = [];

  constructor(req: IncomingMessage) {
    this.#req = req;
    const raw = req.rawHeaders;
    const listed = listedByConnection(req.headers.connection);
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i]!.toLowerCase();
      if (!ownFields.has(name) && !isConnectionField(name, listed)) this.#fields.push(name, raw[i + 1]!);
    }
  }

  /** Every value of a header, in the order they came. */
  values(name: string): string[] {
    const raw = this.#req.rawHeaders;
    const values: string[] = [];
    for (let i = 0; i < raw.length; i += 2) if (raw[i]!.toLowerCase() === name) values.push(raw[i + 1]!);
    return values;
  }

  /** The fields as lines; `set`: names in lower case and values that replace the client's. `encoded`: its choice of encodings counts. */
  lines(set: ReadonlyMap<string, string>, encoded: boolean): string {
    const fields = this.#fields;
    let lines = "";
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i]!;
      if (set.has(name) || (!encoded && name === "accept-encoding")) continue;
      lines += `${name}: ${fields[i + 1]}\r\n`;
    }
    for (const [name, value] of set) lines += `${name}: ${value}\r\n`;
    return lines;
  }
}
