/**
 * How far endpoints of one pool usually are from each other before anything is known of them: standard deviation of the
 * logarithm of the factor.
 */
const priorSpread = 0.15;
/** How much alike the factors for prompts and for steps are expected to be. */
const priorCorrelation = 0.7;
const priorVariance = priorSpread ** 2;
const priorCovariance = priorCorrelation * priorVariance;
/** Observations after which older ones fade. */
const memoryObservations = 100;
/** Observations further off than this many standard deviations count less: Huber's rule. */
const outlierDeviations = 1.345;
/** However well the pool's relations fit, no observation is more exact than this share of itself. */
const leastNoise = 0.05;
/** A factor this many standard deviations from 1 is used by half. */
const doubtedDeviations = 2;
/** Where the last observations are off to one side by this many deviations on average, the endpoint has changed: */
const changedDeviations = 0.8;
const changeMemory = 8;
/** then what was known of it is doubted so much more with each. */
const changeDoubt = 1.5;
/** An endpoint of which nothing is observed for this long, */
const fadeAfterMs = 10_000;
/** is taken to be as fast as the others more and more: else one that looked slow gets no request and looks so for good. */
const fadeMs = 30_000;
/** All observations together say no more than e⁵ = 150 times. */
const maxLog = 5;

/**
 * How much slower than its pool an endpoint computes prompts and steps. Both factors are estimated together (a Kalman
 * filter over their logarithms), since hardware that is slow at one is slow at the other more often than not: a factor of
 * which little is seen follows the one of which much is seen. An observation counts by how exact it can be: what is known
 * of an endpoint comes from long prompts and long answers, not from times of which most is noise.
 */
export class EndpointSpeed {
  /** Factor on the pool's times for prompts. */
  prefill = 1;
  /** Factor on the pool's times for steps. */
  step = 1;
  /** Their logarithms as they are used, */
  #usedPrefillLog = 0;
  #usedStepLog = 0;
  /** and as they are estimated, with variances and covariance. */
  #prefillLog = 0;
  #stepLog = 0;
  #prefillVariance = priorVariance;
  #stepVariance = priorVariance;
  #covariance = priorCovariance;
  /** Running mean of how many deviations observations are off, outliers cut. */
  #drift = 0;
  /** Last observation, or how far what was observed has faded. */
  #observedAtMs: number | undefined;
  readonly #changed: (endpoints: number, prefillLog: number, stepLog: number) => void;

  /** `changed` is told when the first observation comes (1), and of each change of the factors' logarithms. */
  constructor(changed: (endpoints: number, prefillLog: number, stepLog: number) => void) {
    this.#changed = changed;
  }

  /**
   * Learns from a time: the logarithm of its ratio to the expected one, this endpoint's factors included. `prefillShare` is
   * the share of prompts in the expected time, the rest being steps. `noise` is how far such a ratio usually is off.
   */
  observe(logRatio: number, prefillShare: number, noise: number, nowMs: number): void {
    if (!(Number.isFinite(logRatio) && prefillShare >= 0 && prefillShare <= 1 && noise >= 0)) return;
    if (this.#observedAtMs === undefined) this.#changed(1, 0, 0);
    this.#observedAtMs = nowMs;
    this.#doubt(
      Math.abs(this.#drift) > changedDeviations ? changeDoubt : memoryObservations / (memoryObservations - 1),
    );
    const stepShare = 1 - prefillShare;
    const prefillGain = this.#prefillVariance * prefillShare + this.#covariance * stepShare;
    const stepGain = this.#covariance * prefillShare + this.#stepVariance * stepShare;
    const variance = prefillShare * prefillGain + stepShare * stepGain + Math.max(leastNoise, noise) ** 2;
    const deviation = Math.sqrt(variance);
    const deviations = bounded(logRatio / deviation, outlierDeviations);
    this.#drift += (deviations - this.#drift) / changeMemory;
    this.#prefillVariance -= prefillGain ** 2 / variance;
    this.#stepVariance -= stepGain ** 2 / variance;
    this.#covariance -= (prefillGain * stepGain) / variance;
    const moved = deviations / deviation;
    this.#set(this.#prefillLog + moved * prefillGain, this.#stepLog + moved * stepGain);
  }

  /** Lets what was observed long ago fade. */
  fade(nowMs: number): void {
    if (this.#observedAtMs === undefined) return;
    const elapsedMs = nowMs - this.#observedAtMs - fadeAfterMs;
    if (elapsedMs <= 0) return;
    const kept = Math.exp(-elapsedMs / fadeMs);
    this.#observedAtMs = nowMs - fadeAfterMs;
    this.#prefillVariance = priorVariance + (this.#prefillVariance - priorVariance) * kept ** 2;
    this.#stepVariance = priorVariance + (this.#stepVariance - priorVariance) * kept ** 2;
    this.#covariance = priorCovariance + (this.#covariance - priorCovariance) * kept ** 2;
    this.#set(this.#prefillLog * kept, this.#stepLog * kept);
  }

  /** Multiplies what is uncertain, up to what it was at the start. */
  #doubt(factor: number): void {
    const prefill = Math.min(factor, priorVariance / this.#prefillVariance);
    const step = Math.min(factor, priorVariance / this.#stepVariance);
    this.#prefillVariance *= prefill;
    this.#stepVariance *= step;
    this.#covariance *= Math.sqrt(prefill * step);
  }

  /** The endpoint goes. */
  forget(): void {
    if (this.#observedAtMs !== undefined) this.#changed(-1, -this.#usedPrefillLog, -this.#usedStepLog);
    this.#observedAtMs = undefined;
  }

  #set(prefillLog: number, stepLog: number): void {
    this.#prefillLog = bounded(prefillLog, maxLog);
    this.#stepLog = bounded(stepLog, maxLog);
    const usedPrefillLog = significant(this.#prefillLog, this.#prefillVariance);
    const usedStepLog = significant(this.#stepLog, this.#stepVariance);
    this.#changed(0, usedPrefillLog - this.#usedPrefillLog, usedStepLog - this.#usedStepLog);
    this.#usedPrefillLog = usedPrefillLog;
    this.#usedStepLog = usedStepLog;
    this.prefill = Math.exp(usedPrefillLog);
    this.step = Math.exp(usedStepLog);
  }
}

/** A factor is used as far as it differs from 1 by more than it is uncertain: of many equal endpoints, some always look fast. */
function significant(log: number, variance: number): number {
  return (log * log * log) / (log * log + doubtedDeviations ** 2 * variance);
}

function bounded(value: number, limit: number): number {
  return Math.min(limit, Math.max(-limit, value));
}
