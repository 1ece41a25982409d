import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

/** What a run of the fuzzer does. */
export interface FuzzRun {
  readonly targets: readonly string[];
  /** Time for each target. */
  readonly timeMs: number;
  readonly seed: number;
  /** Targets that run at the same time. */
  readonly jobs: number;
}

const defaultSeconds = 60;

export const usage = `usage: pnpm fuzz [TARGET...] [--seconds N] [--budget-seconds N] [--seed S] [--jobs N]
  TARGET              what to try; all when none is named
  --seconds N         time for each target, ${defaultSeconds} when not given
  --budget-seconds N  time for the whole run: each target gets at most its share
  --seed S            a whole number that determines the inputs; drawn and printed when not given
  --jobs N            targets at the same time; one for each core when not given`;

/** Reads the arguments. Errors: a text that says what is wrong. */
export function readFuzzOptions(args: readonly string[], known: readonly string[]): FuzzRun | string {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (thrown: unknown) {
    return `${thrown instanceof Error ? thrown.message : String(thrown)}\n${usage}`;
  }
  const { values, positionals } = parsed;
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) return `no target ${JSON.stringify(unknown)}; there are: ${known.join(", ")}`;
  const number = (name: keyof typeof values, least: number): number | undefined | string => {
    const text = values[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    return text.trim() !== "" && Number.isInteger(value) && value >= least && value <= 0xffffffff
      ? value
      : `--${name}=${text}: give a whole number from ${least} to ${0xffffffff}`;
  };
  const seconds = number("seconds", 1);
  const budget = number("budget-seconds", 1);
  const seed = number("seed", 0);
  const jobs = number("jobs", 1);
  for (const value of [seconds, budget, seed, jobs]) if (typeof value === "string") return value;
  const targets = positionals.length > 0 ? positionals : known;
  const atOnce = Math.min(typeof jobs === "number" ? jobs : availableParallelism(), targets.length);
  const wantedMs = (typeof seconds === "number" ? seconds : defaultSeconds) * 1000;
  const rounds = Math.ceil(targets.length / atOnce);
  const shareMs = typeof budget === "number" ? Math.floor((budget * 1000) / rounds) : wantedMs;
  return {
    targets,
    timeMs: Math.min(wantedMs, shareMs),
    seed: typeof seed === "number" ? seed : Math.floor(Math.random() * 0x1_0000_0000),
    jobs: atOnce,
  };
}

function parse(args: readonly string[]) {
  const string = { type: "string" } as const;
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { seconds: string, "budget-seconds": string, seed: string, jobs: string },
  });
}
