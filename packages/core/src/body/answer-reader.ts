import type { ResponseContext, ResponseReader, Usage } from "../plugin/parser.ts";
import type { AnswerFormat } from "./answer-format.ts";
import { JsonUsage } from "./json-usage.ts";
import { ModelRestorer } from "./model-restorer.ts";
import { StreamUsage } from "./stream-usage.ts";

/** Reads usage from a JSON answer or an event stream and puts the model's name back. A compressed answer passes unread. */
export class AnswerReader implements ResponseReader {
  readonly #usage: StreamUsage | JsonUsage | undefined;
  readonly #restorer: ModelRestorer | undefined;
  readonly #countsEvents: boolean;

  constructor({ headers, streaming, restoreModel, ignoresEvents }: ResponseContext, format: AnswerFormat) {
    this.#countsEvents = format.countsEvents && ignoresEvents !== true;
    const encoding = headers.get("content-encoding")?.trim().toLowerCase();
    if (encoding !== undefined && encoding !== "" && encoding !== "identity") return;
    this.#usage = streaming ? new StreamUsage(format, this.#countsEvents) : new JsonUsage(format);
    if (restoreModel !== undefined) {
      this.#restorer = new ModelRestorer(restoreModel.from, restoreModel.to, { streaming, holder: format.modelHolder });
    }
  }

  get usage(): Usage | undefined {
    return this.#usage?.usage;
  }

  get events(): number {
    return this.#countsEvents ? (this.#usage?.events ?? 0) : 0;
  }

  get keptBytes(): number {
    return this.#usage?.keptBytes ?? 0;
  }

  letGo(): void {
    this.#usage?.letGo();
  }

  chunk(bytes: Uint8Array, endOfStream: boolean): Uint8Array {
    this.#usage?.observe(bytes, endOfStream);
    return this.#restorer === undefined ? bytes : this.#restorer.transform(bytes, endOfStream);
  }
}
