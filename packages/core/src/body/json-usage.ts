import { scanJson } from "../json/index.ts";
import type { Usage } from "../plugin/parser.ts";
import type { AnswerFormat } from "./answer-format.ts";
import { ByteStore } from "./byte-store.ts";

/** A longer answer is not read. Bytes. */
export const maxJsonBodyBytes: number = 8 * 1024 * 1024;

/** Finds the usage in an answer that is one JSON value. An answer that comes whole is not copied. */
export class JsonUsage {
  usage: Usage | undefined;
  readonly events: number = 0;
  readonly #format: AnswerFormat;
  readonly #body = new ByteStore();
  #unread = false;

  constructor(format: AnswerFormat) {
    this.#format = format;
  }

  get keptBytes(): number {
    return this.#body.length;
  }

  /** The answer is read no further. */
  letGo(): void {
    this.#unread = true;
    this.#body.clear();
  }

  observe(bytes: Uint8Array, endOfStream: boolean): void {
    if (this.#unread) return;
    if (this.#body.length + bytes.length > maxJsonBodyBytes) {
      this.letGo();
      return;
    }
    if (!endOfStream) {
      if (bytes.length > 0) this.#body.append(bytes);
      return;
    }
    if (this.#body.length === 0) this.#read(bytes);
    else {
      this.#body.append(bytes);
      this.#read(this.#body.view());
      this.#body.clear();
    }
  }

  #read(body: Uint8Array): void {
    const document = scanJson(body);
    if (document.ok) this.usage = this.#format.answerUsage(document.root);
  }
}
