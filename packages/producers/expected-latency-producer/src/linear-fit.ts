/**
 * A linear relation learned from samples one by one: recursive least squares that forgets, and that gives samples far off
 * less say (Huber's rule). Coefficients never fall below 0: more work never takes less time.
 */
export class LinearFit {
  readonly coefficients: Float64Array;
  readonly #covariance: Float64Array;
  readonly #gain: Float64Array;
  readonly #size: number;
  readonly #forgetting: number;
  /** Running mean of absolute relative residuals. */
  #spread = 1;

  /**
   * `prior` is the relation before the first sample and `trust` the share of itself by which a coefficient may easily be
   * wrong. `memory` is the number of samples after which one counts a third.
   */
  constructor(prior: readonly number[], trust: number, memory: number) {
    const size = prior.length;
    this.coefficients = Float64Array.from(prior);
    this.#size = size;
    this.#gain = new Float64Array(size);
    this.#covariance = new Float64Array(size * size);
    for (let i = 0; i < size; i++) this.#covariance[i * size + i] = (prior[i]! * trust) ** 2;
    this.#forgetting = 1 - 1 / memory;
  }

  /** The relation's value. */
  at(features: ArrayLike<number>): number {
    let sum = 0;
    for (let i = 0; i < this.#size; i++) sum += this.coefficients[i]! * features[i]!;
    return sum;
  }

  /** Learns from one sample; `noise` is the usual error of such a value. */
  learn(features: ArrayLike<number>, value: number, noise: number): void {
    const size = this.#size;
    const covariance = this.#covariance;
    const gain = this.#gain;
    const residual = value - this.at(features);
    const relative = Math.abs(residual) / noise;
    const limit = 3 * this.#spread;
    const weight = relative > limit ? limit / relative : 1;
    this.#spread += 0.02 * (Math.min(relative, limit) - this.#spread);
    let scale = (this.#forgetting * noise * noise) / weight;
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let j = 0; j < size; j++) sum += covariance[i * size + j]! * features[j]!;
      gain[i] = sum;
    }
    for (let i = 0; i < size; i++) scale += features[i]! * gain[i]!;
    for (let i = 0; i < size; i++) {
      this.coefficients[i] = Math.max(0, this.coefficients[i]! + (gain[i]! / scale) * residual);
    }
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        covariance[i * size + j] = (covariance[i * size + j]! - (gain[i]! * gain[j]!) / scale) / this.#forgetting;
      }
    }
  }
}
