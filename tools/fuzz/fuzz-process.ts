// Tries one target, in a process of its own. Arguments: name, seed, milliseconds. Prints one line of JSON.
import { saveSeed, seedsOf } from "./fuzz-seeds.ts";
import { runTarget } from "./run-target.ts";

/** What the process prints. */
export interface FuzzLine {
  readonly inputs: number;
  readonly slowestMs: number;
  readonly heldBytes: number;
  readonly failure: { readonly text: string; readonly path: string } | undefined;
}

const [name = "", seed, timeMs] = process.argv.slice(2);
const { inputs, slowestMs, heldBytes, failure } = await runTarget({
  module: new URL(`./targets/${name}.ts`, import.meta.url).href,
  seed: Number(seed),
  timeMs: Number(timeMs),
  seeds: [...seedsOf(name).values()],
});
const line: FuzzLine = {
  inputs,
  slowestMs,
  heldBytes,
  failure: failure && { text: failure.text, path: saveSeed(name, failure.input) },
};
console.log(JSON.stringify(line));
process.exit(failure === undefined ? 0 : 1);
