import { largestValueSample, type MetricSample } from "@pointsman/core/prometheus";

/** The LoRA adapters of an engine as its page states them. */
export interface LoraAdapters {
  readonly active: ReadonlySet<string>;
  readonly waiting: ReadonlySet<string>;
  /** Adapters the engine holds at most; `undefined` when the page does not say. */
  readonly max: number | undefined;
  readonly problem: string | undefined;
}

/** Names read from one label; an engine that holds more states them in vain. */
const maxAdapters = 1000;

/**
 * Reads the adapters from the series with the largest value, which is the time it was written. `undefined` without a
 * series: the engine serves no adapters, or none was asked for so far.
 */
export function readLoraAdapters(samples: readonly MetricSample[]): LoraAdapters | undefined {
  const latest = largestValueSample(samples);
  if (latest === undefined) return undefined;
  const problems: string[] = [];
  const names = (label: string): ReadonlySet<string> => {
    const all = (latest.label(label) ?? "").split(",", maxAdapters + 1);
    if (all.length > maxAdapters) {
      all.length = maxAdapters;
      problems.push(`${latest.name}: label ${label} names more than ${maxAdapters} adapters; the rest is left out`);
    }
    return new Set(all.map((name) => name.trim()).filter((name) => name !== ""));
  };
  const active = names("running_lora_adapters");
  const waiting = names("waiting_lora_adapters");
  const maxText = (latest.label("max_lora") ?? "").trim();
  const max = /^\d{1,9}$/.test(maxText) ? Number(maxText) : undefined;
  if (max === undefined && maxText !== "") {
    problems.push(`${latest.name}: label max_lora is ${JSON.stringify(maxText.slice(0, 40))}, not a whole number`);
  }
  return { active, waiting, max, problem: problems.length === 0 ? undefined : problems.join("; ") };
}
