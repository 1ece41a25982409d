import type { JsonValue } from "@pointsman/core/json";
import type { ApiKind } from "../body/api-kind.ts";
import type { Exchange } from "../exchange.ts";
import type { Stages } from "../stages.ts";
import type { ChunkedDecode } from "./chunked-decode.ts";

export interface DecodeLegOptions {
  readonly api: ApiKind;
  readonly headers?: ReadonlyMap<string, string>;
  /** JSON text of the number that the usage report gets. */
  readonly cachedTokens?: Uint8Array;
}

/** The last stage of a request: in one call, or in several short ones where that is configured. */
export class DecodeLeg {
  readonly #stages: Stages;
  readonly #chunked: ChunkedDecode | undefined;

  constructor(stages: Stages, chunked: ChunkedDecode | undefined) {
    this.#stages = stages;
    this.#chunked = chunked;
  }

  /** Answers the client from the decode server. `root` is the client's body, `body` what the server gets. */
  async run(
    exchange: Exchange,
    root: JsonValue,
    body: readonly Uint8Array[],
    options: DecodeLegOptions,
  ): Promise<void> {
    const { api, headers, cachedTokens } = options;
    let whole: readonly Uint8Array[] = body;
    if (this.#chunked?.applies(exchange, root) === true) {
      const left = await this.#chunked.run(exchange, body, headers, cachedTokens);
      if (left === undefined) return;
      whole = left;
    }
    const relay = this.#stages.decode(exchange, whole, {
      ...(headers === undefined ? {} : { headers }),
      ...(cachedTokens === undefined ? {} : { cachedTokens: { api, text: cachedTokens } }),
    });
    await relay.ended;
  }
}
