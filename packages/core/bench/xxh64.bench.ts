// Compares @pointsman/core/xxh64 with the BigInt implementation its tests compare it with, in one run on the same input.
// Usage: node --conditions=@pointsman/source packages/core/bench/xxh64.bench.ts [part of a case name]
// Each figure is the median in microseconds of one call; the ratio is plain time / ours.
import { PrefixHasher, xxh64 } from "@pointsman/core/xxh64";
import { seededRandom } from "../test/testkit.ts";
import { referenceChain, referenceXxh64 } from "../test/xxh64-reference.ts";

interface BenchCase {
  readonly name: string;
  /** One of several inputs of the same size. */
  readonly ours: (input: number) => void;
  readonly plain: (input: number) => void;
}

const random = seededRandom(2026);
const inputs = 20;
const blockSizeTokens = 64;
const model = "meta-llama/Llama-3.1-8B-Instruct";
const hasher = new PrefixHasher();

function randomWords(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, () => random() * 0x1_0000_0000);
}

function bytesCase(name: string, bytes: number): BenchCase {
  const contents = Array.from({ length: inputs }, () => new Uint8Array(randomWords(bytes / 4).buffer));
  return {
    name: `bytes/${name}`,
    ours: (input) => xxh64(contents[input]!),
    plain: (input) => referenceXxh64(contents[input]!),
  };
}

function promptCase(name: string, tokens: number): BenchCase {
  const prompts = Array.from({ length: inputs }, () => ({ tokenIds: randomWords(tokens) }));
  const unlimited = Number.POSITIVE_INFINITY;
  return {
    name: `prompt/${name}-tokens`,
    ours: (input) => hasher.hash([prompts[input]!], model, "", blockSizeTokens, unlimited),
    plain: (input) => referenceChain(prompts[input]!.tokenIds, model, "", blockSizeTokens, unlimited),
  };
}

/** Median time of one call, microseconds. */
function medianUs(run: (input: number) => void, calls: number): number {
  const times: number[] = [];
  for (let call = 0; call < calls; call++) {
    const start = performance.now();
    run(call % inputs);
    times.push((performance.now() - start) * 1000);
  }
  return times.toSorted((a, b) => a - b)[calls >> 1]!;
}

const cases = [
  bytesCase("64B", 64),
  bytesCase("64KB", 65_536),
  bytesCase("1MB", 1_048_576),
  promptCase("1k", 1000),
  promptCase("10k", 10_000),
  promptCase("100k", 100_000),
];
const wanted = process.argv[2] ?? "";
console.log(`${"case".padEnd(24)}${"us".padStart(10)}${"plain us".padStart(12)}${"ratio".padStart(9)}`);
for (const { name, ours, plain } of cases) {
  if (!name.includes(wanted)) continue;
  const us = medianUs(ours, 400);
  const plainUs = medianUs(plain, 5);
  const columns = [us.toFixed(1).padStart(10), plainUs.toFixed(1).padStart(12), `${(plainUs / us).toFixed(1)}x`];
  console.log(`${name.padEnd(24)}${columns[0]}${columns[1]}${columns[2]!.padStart(9)}`);
}
