/** A mean that follows its samples: exact over the first ones, then one that forgets. */
export class RunningMean {
  #samples = 0;
  readonly #gain: number;
  value: number;

  /** `memory` is the number of samples that count; `prior` stands until the first one. */
  constructor(prior: number, memory: number) {
    this.value = prior;
    this.#gain = 1 / memory;
  }

  get samples(): number {
    return this.#samples;
  }

  /** A sample that is no finite number is passed over. */
  add(sample: number): void {
    if (!Number.isFinite(sample)) return;
    this.#samples++;
    this.value += Math.max(this.#gain, 1 / this.#samples) * (sample - this.value);
  }
}
