/** Share of a residual's distance that the usual distance moves by with each sample. */
const spreadGain = 0.02;
/** Residuals beyond this many usual ones count less: Huber's rule. */
const outlierSpreads = 3;
/** However well samples agree, another one that is not far off counts in full: else nothing new is ever learned. */
const leastSpread = 0.02;
/** Numbers beyond this are no measurement. Products of numbers below it keep the precision the update needs. */
const maxMagnitude = 1e9;
/** An error below this would make one sample all that is known. */
const leastError = 1e-3;

/**
 * A linear relation learned from samples one by one: recursive least squares that forgets old samples and gives those far
 * off less say. Coefficients never fall below 0: more work never takes less time. Samples that hold no plausible number
 * are passed over, and what is not measured for long is doubted no more than at the start, so all numbers stay finite.
 *
 * Cost: O(n²) per sample for n coefficients, no allocation.
 */
export class LinearFit {
  readonly coefficients: Float64Array;
  readonly #covariance: Float64Array;
  /** Variances before the first sample: none grows beyond. */
  readonly #priorVariances: Float64Array;
  readonly #gain: Float64Array;
  readonly #forgetting: number;
  /** Running mean of how far samples are off, in units of their usual error. */
  #spread = 1;
  /** Samples learned from. */
  samples = 0;

  /**
   * `prior` is the relation before the first sample, each coefficient off by up to `doubt` times itself. `memory` is the
   * number of samples after which one counts a third.
   */
  constructor(prior: readonly number[], doubt: number, memory: number) {
    const size = prior.length;
    this.coefficients = Float64Array.from(prior);
    this.#gain = new Float64Array(size);
    this.#covariance = new Float64Array(size * size);
    this.#priorVariances = this.coefficients.map((coefficient) => (coefficient * doubt) ** 2);
    for (let i = 0; i < size; i++) this.#covariance[i * size + i] = this.#priorVariances[i]!;
    this.#forgetting = 1 - 1 / memory;
  }

  /** The relation's value. */
  at(features: ArrayLike<number>): number {
    let sum = 0;
    for (let i = 0; i < this.coefficients.length; i++) sum += this.coefficients[i]! * features[i]!;
    return sum;
  }

  /** Learns from one sample, unless a number in it is not finite or huge. `usualError` is the error that such a value usually has. */
  learn(features: ArrayLike<number>, value: number, usualError: number): void {
    const { coefficients } = this;
    const size = coefficients.length;
    if (!(isPlausible(value) && isPlausible(usualError) && usualError >= leastError)) return;
    for (let i = 0; i < size; i++) if (!isPlausible(features[i]!)) return;
    this.samples++;
    const covariance = this.#covariance;
    const gain = this.#gain;
    const residual = value - this.at(features);
    const distance = Math.abs(residual) / usualError;
    const limit = outlierSpreads * this.#spread;
    this.#spread = Math.max(leastSpread, this.#spread + spreadGain * (Math.min(distance, limit) - this.#spread));
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
    this.#boundVariances();
  }

  /** Forgetting makes variances grow for as long as samples tell nothing of a coefficient; rounding may turn them around. */
  #boundVariances(): void {
    const covariance = this.#covariance;
    const size = this.coefficients.length;
    for (let i = 0; i < size; i++) {
      const variance = covariance[i * size + i]!;
      const prior = this.#priorVariances[i]!;
      if (variance > 0 && variance <= prior) continue;
      // Its covariances shrink with it, so that correlations stay what they are.
      const factor = variance > 0 ? Math.sqrt(prior / variance) : 0;
      for (let j = 0; j < size; j++) {
        covariance[i * size + j] = covariance[i * size + j]! * factor;
        covariance[j * size + i] = covariance[i * size + j]!;
      }
      covariance[i * size + i] = prior;
    }
  }
}

function isPlausible(value: number): boolean {
  return Math.abs(value) <= maxMagnitude;
}
