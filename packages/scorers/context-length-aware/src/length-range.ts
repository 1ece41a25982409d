import type { Endpoint, EndpointMetadata } from "@pointsman/core";

/** Prompt lengths an endpoint is meant for, both ends included. */
export interface LengthRange {
  readonly minTokens: number;
  readonly maxTokens: number;
}

const rangePattern = /^\s*(\d{1,19})\s*-\s*(\d{1,19})\s*$/;

/** Reads `min-max`: two whole numbers, the first not above the second. `undefined` for anything else. Never throws. */
export function parseLengthRange(text: string): LengthRange | undefined {
  const match = rangePattern.exec(text);
  if (match === null) return undefined;
  const [minTokens, maxTokens] = [Number(match[1]), Number(match[2])];
  return minTokens <= maxTokens ? { minTokens, maxTokens } : undefined;
}

/** Ranges of endpoints by their label, read once for each version of an endpoint's metadata. */
export class LengthRanges {
  readonly #label: string;
  readonly #known: WeakMap<EndpointMetadata, LengthRange | "unlabelled" | "unreadable"> = new WeakMap();

  constructor(label: string) {
    this.#label = label;
  }

  of({ metadata }: Endpoint): LengthRange | "unlabelled" | "unreadable" {
    let range = this.#known.get(metadata);
    if (range === undefined) {
      // Own properties only: a key such as "constructor" is a valid label.
      const text = Object.hasOwn(metadata.labels, this.#label) ? metadata.labels[this.#label] : undefined;
      range = text === undefined ? "unlabelled" : (parseLengthRange(text) ?? "unreadable");
      this.#known.set(metadata, range);
    }
    return range;
  }
}
