import { decodeUtf8 } from "./byte-text.ts";
import type { MetricSpec } from "./metric-spec.ts";
import { LabelCursor } from "./sample-line.ts";

const cursor = new LabelCursor();

const escapes = /\\(.)/g;

function decodeLabelValue(byteText: string): string {
  const unescaped = byteText.includes("\\")
    ? byteText.replace(escapes, (_, escaped: string) => (escaped === "n" ? "\n" : escaped))
    : byteText;
  return decodeUtf8(unescaped);
}

/**
 * One series of a page at the moment of the scrape. Labels are decoded when asked for.
 * Memory: holds its own labels' text, neither the page nor its bytes.
 */
export class MetricSample {
  /** The name as it stands on the page, for instance `vllm:num_requests_waiting`. */
  readonly name: string;
  /** May be NaN or infinite, as stated. */
  readonly value: number;
  /** The explicit timestamp, milliseconds since 1970. Undefined when the page states none, which is the usual case. */
  readonly timestampMs: number | undefined;
  readonly #labels: string;

  /** `labels` is what stands between the braces, accepted by `SampleLine`, one character a byte. */
  constructor(name: string, labels: string, value: number, timestampMs: number | undefined) {
    this.name = name;
    this.value = value;
    this.timestampMs = timestampMs;
    this.#labels = labels;
  }

  /** The value of a label. Undefined when the series has no such label, "" when it has an empty one. */
  label(name: string): string | undefined {
    const labels = this.#labels;
    cursor.start(labels);
    while (cursor.next()) {
      if (cursor.nameTo - cursor.nameFrom === name.length && labels.startsWith(name, cursor.nameFrom)) {
        return decodeLabelValue(labels.slice(cursor.valueFrom, cursor.valueTo));
      }
    }
    return undefined;
  }

  /** All labels in the order of the page. Bytes that are not UTF-8 read as U+FFFD. */
  labels(): Map<string, string> {
    const labels = this.#labels;
    const decoded = new Map<string, string>();
    cursor.start(labels);
    while (cursor.next()) {
      const value = labels.slice(cursor.valueFrom, cursor.valueTo);
      decoded.set(labels.slice(cursor.nameFrom, cursor.nameTo), decodeLabelValue(value));
    }
    return decoded;
  }

  /** Whether name and all labels of the spec are equal here; further labels do not matter. Decodes and allocates nothing. */
  matches(spec: MetricSpec): boolean {
    if (spec.name !== this.name) return false;
    for (const wanted of spec.labels) if (!this.#carries(wanted.name, wanted.byteText)) return false;
    return true;
  }

  #carries(name: string, byteText: string): boolean {
    const labels = this.#labels;
    cursor.start(labels);
    while (cursor.next()) {
      if (cursor.nameTo - cursor.nameFrom !== name.length || !labels.startsWith(name, cursor.nameFrom)) continue;
      return cursor.valueTo - cursor.valueFrom === byteText.length && labels.startsWith(byteText, cursor.valueFrom);
    }
    return false;
  }

  /** A text that is equal exactly for equal label sets, in whatever order and spacing they stand. */
  static labelSetKey(sample: MetricSample): string {
    const labels = sample.#labels;
    const pairs: string[] = [];
    cursor.start(labels);
    while (cursor.next()) {
      const name = labels.slice(cursor.nameFrom, cursor.nameTo);
      // Escaped values have one spelling each and hold no bare quote, so quotes keep pairs apart.
      pairs.push(`${name}"${labels.slice(cursor.valueFrom, cursor.valueTo)}"`);
    }
    return pairs.sort().join("");
  }
}
