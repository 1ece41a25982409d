import type { ResponseContext, ResponseReader, Usage } from "@pointsman/core";
import { JsonUsage } from "./json-usage.ts";
import { ModelRestorer } from "./model-restorer.ts";
import { StreamUsage } from "./stream-usage.ts";

/** Reads usage from an answer and puts the model's name back. A compressed answer passes unread. */
export class OpenAiResponseReader implements ResponseReader {
  readonly #usage: StreamUsage | JsonUsage | undefined;
  readonly #restorer: ModelRestorer | undefined;

  constructor({ headers, streaming, restoreModel }: ResponseContext) {
    const encoding = headers.get("content-encoding")?.trim().toLowerCase();
    if (encoding !== undefined && encoding !== "" && encoding !== "identity") return;
    this.#usage = streaming ? new StreamUsage() : new JsonUsage();
    if (restoreModel !== undefined) {
      this.#restorer = new ModelRestorer(restoreModel.from, restoreModel.to, streaming);
    }
  }

  get usage(): Usage | undefined {
    return this.#usage?.usage;
  }

  get events(): number {
    return this.#usage?.events ?? 0;
  }

  chunk(bytes: Uint8Array, endOfStream: boolean): Uint8Array {
    this.#usage?.observe(bytes, endOfStream);
    return this.#restorer === undefined ? bytes : this.#restorer.transform(bytes, endOfStream);
  }
}
