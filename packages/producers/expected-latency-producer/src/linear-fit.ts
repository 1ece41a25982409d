/** Share of a residual's distance that the usual distance moves by with each sample. */
const spreadGain = 0.02;
/** Residuals beyond this many usual ones count less: Huber's rule. */
const outlierSpreads = 3;

/**
 * A linear relation learned from samples one by one: recursive least squares that forgets old samples and gives those far
 * off less say. Coefficients never fall below 0: more work never takes less time.
 *
 * Cost: O(n²) per sample for n coefficients, no allocation.
 */
export class LinearFit {
  readonly coefficients: Float64Array;
  readonly #covariance: Float64Array;
  readonly #gain: Float64Array;
  readonly #forgetting: number;
  /** Running mean of how far samples are off, in units of their usual error. */
  #spread = 1;

  /**
   * `prior` is the relation before the first sample, each coefficient off by up to `doubt` times itself. `memory` is the
   * number of samples after which one counts a third.
   */
  constructor(prior: readonly number[], doubt: number, memory: number) {
    const size = prior.length;
    this.coefficients = Float64Array.from(prior);
    this.#gain = new Float64Array(size);
    this.#covariance = new Float64Array(size * size);
    for (let i = 0; i < size; i++) this.#covariance[i * size + i] = (prior[i]! * doubt) ** 2;
    this.#forgetting = 1 - 1 / memory;
  }

  /** The relation's value. */
  at(features: ArrayLike<number>): number {
    let sum = 0;
    for (let i = 0; i < this.coefficients.length; i++) sum += this.coefficients[i]! * features[i]!;
    return sum;
  }

  /** Learns from one sample. `usualError` is the error that such a value usually has, above 0. */
  learn(features: ArrayLike<number>, value: number, usualError: number): void {
    const { coefficients } = this;
    const size = coefficients.length;
    const covariance = this.#covariance;
    const gain = this.#gain;
    const residual = value - this.at(features);
    const distance = Math.abs(residual) / usualError;
    const limit = outlierSpreads * this.#spread;
    this.#spread += spreadGain * (Math.min(distance, limit) - this.#spread);
    const weight = distance > limit ? limit / distance : 1;
    let scale = (this.#forgetting * usualError ** 2) / weight;
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let j = 0; j < size; j++) sum += covariance[i * size + j]! * features[j]!;
      gain[i] = sum;
      scale += features[i]! * sum;
    }
    for (let i = 0; i < size; i++) {
      coefficients[i] = Math.max(0, coefficients[i]! + (gain[i]! / scale) * residual);
      for (let j = 0; j < size; j++) {
        const at = i * size + j;
        covariance[at] = (covariance[at]! - (gain[i]! * gain[j]!) / scale) / this.#forgetting;
      }
    }
  }
}
