import type { MetricSample } from "@pointsman/core/prometheus";

/** A number read from a page, or why there is none. Both `undefined`: the page does not say, and need not. */
export interface ReadNumber {
  readonly value: number | undefined;
  readonly problem: string | undefined;
}

const notStated: ReadNumber = { value: undefined, problem: undefined };

/** What engines write in a label before the number is known. */
const notKnownYet: ReadonlySet<string> = new Set(["", "None"]);

/**
 * Reads a whole number from a label of each series. `sum`: all added up, known only if each is. `same`: the number that
 * all state.
 */
export function readLabelNumber(samples: readonly MetricSample[], label: string, combine: "sum" | "same"): ReadNumber {
  let value: number | undefined;
  for (const sample of samples) {
    const text = (sample.label(label) ?? "").trim();
    if (notKnownYet.has(text)) return notStated;
    if (!/^\d{1,15}$/.test(text) || Number(text) === 0) {
      const stated = JSON.stringify(text.slice(0, 40));
      return { value: undefined, problem: `${sample.name}: label ${label} is ${stated}, not a whole number above 0` };
    }
    const combined = combineNumbers(value, Number(text), combine);
    if (combined === undefined) return differs(`${sample.name}: label ${label}`);
    value = combined;
  }
  return { value, problem: undefined };
}

/** The same for numbers that are the values of series. */
export function readValueNumber(samples: readonly MetricSample[], combine: "sum" | "same"): ReadNumber {
  let value: number | undefined;
  for (const sample of samples) {
    const stated = Math.trunc(sample.value);
    // Engines state 0 until their cache is set up.
    if (stated === 0) return notStated;
    if (!(stated > 0 && stated <= Number.MAX_SAFE_INTEGER)) {
      return { value: undefined, problem: `${sample.name} is ${sample.value}, not a number above 0` };
    }
    const combined = combineNumbers(value, stated, combine);
    if (combined === undefined) return differs(sample.name);
    value = combined;
  }
  return { value, problem: undefined };
}

function combineNumbers(known: number | undefined, next: number, combine: "sum" | "same"): number | undefined {
  if (known === undefined) return next;
  if (combine === "sum") return known + next;
  return known === next ? known : undefined;
}

function differs(what: string): ReadNumber {
  return { value: undefined, problem: `${what} differs between the engines of one page` };
}
