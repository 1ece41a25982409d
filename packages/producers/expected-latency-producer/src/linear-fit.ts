/** Share of a residual's distance that the usual distance moves by with each sample. */
const spreadGain = 0.02;
/** Residuals beyond this many usual ones count less: Huber's rule. */
const outlierSpreads = 3;
/** However well samples agree, another one that is not far off counts in full: else nothing new is ever learned. */
const leastSpread = 0.02;
/** Numbers beyond this are no measurement. */
const maxMagnitude = 1e9;
/** An error below this would make one sample all that is known. */
const leastError = 0.1;
/** Most that one sample tells, as a multiple of what was assumed before the first: so that nothing is lost by rounding. */
const maxInformation = 1e4;

/**
 * A linear relation learned from samples one by one: recursive least squares that forgets old samples and gives those far
 * off less say. It forgets in the direction of the new sample alone (Cao and Schwartz 2000): what was learned of long
 * prompts stays while only short ones come. Coefficients never fall below 0: more work never takes less time. Samples that
 * hold no plausible number are passed over.
 *
 * Cost: O(n³) per sample for n coefficients, no allocation.
 */
export class LinearFit {
  readonly coefficients: Float64Array;
  /** Coefficients are measured in these units, so that each is about as uncertain as the others at the start. */
  readonly #units: Float64Array;
  /** What is known: the inverse of the covariance, by rows. */
  readonly #information: Float64Array;
  readonly #forgotten: number;
  /** Scratch: the sample in units, what is known in its direction, a triangular factor, a solution. */
  readonly #sample: Float64Array;
  readonly #known: Float64Array;
  readonly #factor: Float64Array;
  readonly #gain: Float64Array;
  readonly #unit: Float64Array;
  /** Running mean of how far samples are off, in units of their usual error. */
  #spread = 1;
  /** Samples learned from. */
  samples = 0;

  /**
   * `prior` is the relation before the first sample, each coefficient above 0 and off by up to `doubt` times itself.
   * `memory` is the number of samples like the new ones after which one counts a third.
   */
  constructor(prior: readonly number[], doubt: number, memory: number) {
    const size = prior.length;
    this.coefficients = Float64Array.from(prior);
    this.#units = this.coefficients.map((coefficient) => coefficient * doubt);
    this.#information = new Float64Array(size * size);
    for (let i = 0; i < size; i++) this.#information[i * size + i] = 1;
    this.#forgotten = 1 / memory;
    this.#sample = new Float64Array(size);
    this.#known = new Float64Array(size);
    this.#factor = new Float64Array(size * size);
    this.#gain = new Float64Array(size);
    this.#unit = new Float64Array(size);
  }

  /** How far samples are off on average, in units of their usual error. */
  get spread(): number {
    return this.#spread;
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
    const residual = value - this.at(features);
    const distance = Math.abs(residual) / usualError;
    const limit = outlierSpreads * this.#spread;
    this.#spread = Math.max(leastSpread, this.#spread + spreadGain * (Math.min(distance, limit) - this.#spread));
    const weight = distance > limit ? limit / distance : 1;
    let length = 0;
    for (let i = 0; i < size; i++) {
      const each = features[i]! * this.#units[i]!;
      this.#sample[i] = each;
      length += each * each;
    }
    const variance = Math.max(usualError ** 2 / weight, length / maxInformation);
    if (length === 0) return;
    this.#remember(variance);
    if (!this.#factorize()) return;
    this.#solve(this.#sample);
    for (let i = 0; i < size; i++) {
      coefficients[i] = coefficients[i]! + (this.#units[i]! * this.#gain[i]! * residual) / variance;
    }
    this.#raiseNegative();
  }

  /**
   * Coefficients below 0 become 0, and the others move with them as far as samples tell: cutting one off alone would
   * leave the others too high, the more the more alike the features are.
   */
  #raiseNegative(): void {
    const { coefficients } = this;
    const size = coefficients.length;
    for (let pass = 0; pass < size; pass++) {
      let lowest = 0;
      for (let i = 1; i < size; i++) {
        if (coefficients[i]! / this.#units[i]! < coefficients[lowest]! / this.#units[lowest]!) lowest = i;
      }
      if (coefficients[lowest]! >= 0) return;
      this.#unit.fill(0);
      this.#unit[lowest] = 1;
      this.#solve(this.#unit);
      const share = -coefficients[lowest]! / this.#units[lowest]! / this.#gain[lowest]!;
      for (let i = 0; i < size; i++) coefficients[i] = coefficients[i]! + share * this.#gain[i]! * this.#units[i]!;
      coefficients[lowest] = 0;
    }
    for (let i = 0; i < size; i++) coefficients[i] = Math.max(0, coefficients[i]!);
  }

  /** Forgets in the direction of the sample, and adds what it tells. */
  #remember(variance: number): void {
    const information = this.#information;
    const sample = this.#sample;
    const known = this.#known;
    const size = sample.length;
    let inDirection = 0;
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let j = 0; j < size; j++) sum += information[i * size + j]! * sample[j]!;
      known[i] = sum;
      inDirection += sum * sample[i]!;
    }
    const share = this.#forgotten / inDirection;
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const at = i * size + j;
        information[at] = information[at]! - share * known[i]! * known[j]! + (sample[i]! * sample[j]!) / variance;
      }
    }
  }

  /** Cholesky's factor of what is known; false should rounding forbid it. */
  #factorize(): boolean {
    const factor = this.#factor;
    const size = this.#gain.length;
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = this.#information[i * size + j]!;
        for (let k = 0; k < j; k++) sum -= factor[i * size + k]! * factor[j * size + k]!;
        if (i !== j) factor[i * size + j] = sum / factor[j * size + j]!;
        else if (sum > 0) factor[i * size + i] = Math.sqrt(sum);
        else return false;
      }
    }
    return true;
  }

  /** Solves `information × gain = side`. */
  #solve(side: Float64Array): void {
    const factor = this.#factor;
    const gain = this.#gain;
    const size = gain.length;
    for (let i = 0; i < size; i++) {
      let ahead = side[i]!;
      for (let j = 0; j < i; j++) ahead -= factor[i * size + j]! * gain[j]!;
      gain[i] = ahead / factor[i * size + i]!;
    }
    for (let i = size - 1; i >= 0; i--) {
      let sum = gain[i]!;
      for (let k = i + 1; k < size; k++) sum -= factor[k * size + i]! * gain[k]!;
      gain[i] = sum / factor[i * size + i]!;
    }
  }
}

function isPlausible(value: number): boolean {
  return Math.abs(value) <= maxMagnitude;
}
