import { MetricSample } from "./metric-sample.ts";

/**
 * Finds label sets that occur twice among the samples of one family. Label sets that hash alike are told apart by text.
 * Cost: nothing for a family with one sample, else one look-up in a map for each.
 */
export class SeriesSet {
  readonly #byHash: Map<number, number | Map<string, number>> = new Map();
  #firstHash = 0;

  /**
   * Index in `samples` of the one with labels equal to `sample`, else undefined. `hash` is the `labelSetHash` of its line.
   * Shape: call it for every sample of a family in turn, and append each for which it returns undefined. An empty
   * `samples` starts over.
   */
  find(sample: MetricSample, hash: number, samples: readonly MetricSample[]): number | undefined {
    const byHash = this.#byHash;
    if (samples.length <= 1 && byHash.size > 0) byHash.clear();
    if (samples.length === 0) {
      this.#firstHash = hash;
      return undefined;
    }
    if (samples.length === 1) byHash.set(this.#firstHash, 0);
    const known = byHash.get(hash);
    if (known === undefined) {
      byHash.set(hash, samples.length);
      return undefined;
    }
    let byKey: Map<string, number>;
    if (typeof known === "number") {
      byKey = new Map([[MetricSample.labelSetKey(samples[known]!), known]]);
      byHash.set(hash, byKey);
    } else {
      byKey = known;
    }
    const key = MetricSample.labelSetKey(sample);
    const equal = byKey.get(key);
    if (equal === undefined) byKey.set(key, samples.length);
    return equal;
  }
}
