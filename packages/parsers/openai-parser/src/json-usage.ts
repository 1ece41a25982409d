import type { Usage } from "@pointsman/core";
import { get, scanJson } from "@pointsman/core/json";
import { ByteStore } from "./byte-store.ts";
import { mergedUsage } from "./usage.ts";

/** A longer answer is not read. Bytes. */
export const maxJsonBodyBytes: number = 8 * 1024 * 1024;

/** Finds the usage in an answer that is one JSON object. An answer that comes whole is not copied. */
export class JsonUsage {
  usage: Usage | undefined;
  readonly events: number = 0;
  readonly #body = new ByteStore();
  #tooLong = false;

  observe(bytes: Uint8Array, endOfStream: boolean): void {
    if (this.#tooLong) return;
    if (this.#body.length + bytes.length > maxJsonBodyBytes) {
      this.#tooLong = true;
      this.#body.clear();
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
    if (document.ok) this.usage = mergedUsage(undefined, get(document.root, "usage"));
  }
}
