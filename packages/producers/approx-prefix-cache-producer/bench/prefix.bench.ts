// Cost of one request in microseconds (median), beside a plain implementation with BigInt, Map and Set in the same run.
//
//   node --conditions=@pointsman/source bench/prefix.bench.ts [area]
//
// Areas: `turn` is the next turn of a conversation: one endpoint holds 90 % of the prompt and all hold its first 16
// blocks. `cold` is a prompt of which nobody holds more than those. Every endpoint holds 4,000 blocks, which is its
// capacity, so that each new block drops an old one.
import { PrefixHasher } from "@pointsman/core/xxh64";
import { seededRandom } from "@pointsman/testkit";
import { PrefixIndex } from "../src/prefix-index.ts";
import { NaiveIndex } from "./naive-index.ts";

const random = seededRandom(2026);
const blockSizeTokens = 64;
const capacityBlocks = 4000;
const sharedBlocks = 16;
const model = "meta-llama/Llama-3.1-8B-Instruct";
const hasher = new PrefixHasher();
const shared = randomTokens(sharedBlocks * blockSizeTokens);

function randomTokens(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, () => random() * 0x1_0000_0000);
}

/** A prompt that starts like all others, if it is long enough. */
function randomPrompt(count: number): Uint32Array {
  const tokens = randomTokens(count);
  tokens.set(shared.subarray(0, Math.min(shared.length, count)));
  return tokens;
}

function hash(tokenIds: Uint32Array): Uint32Array {
  return hasher.hash([{ tokenIds }], model, "", blockSizeTokens, Number.POSITIVE_INFINITY).words;
}

function bigints(words: Uint32Array): bigint[] {
  return Array.from(new BigUint64Array(words.buffer, words.byteOffset, words.length / 2));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Microseconds of one call. */
function timeOf(run: () => void): number {
  const start = performance.now();
  run();
  return (performance.now() - start) * 1000;
}

function row(name: string, ours: number, naive: number): void {
  const ratio = naive / ours;
  console.log(
    `${name.padEnd(34)}${ours.toFixed(1).padStart(10)}${naive.toFixed(1).padStart(12)}${`${ratio.toFixed(1)}x`.padStart(9)}`,
  );
}

const only = process.argv[2];
console.log(`${"case".padEnd(34)}${"us".padStart(10)}${"plain us".padStart(12)}${"ratio".padStart(9)}`);

for (const endpoints of [10, 100, 1000]) {
  const index = new PrefixIndex(1);
  const naive = new NaiveIndex(capacityBlocks);
  const insertBoth = (id: string, words: Uint32Array): void => {
    index.insert(id, words, 0, words.length / 2);
    naive.insert(id, bigints(words));
  };
  for (let e = 0; e < endpoints; e++) {
    const id = `default/server-${e}`;
    index.setEndpoint(id, e, capacityBlocks);
    while (index.blocksOf(id) < capacityBlocks)
      insertBoth(id, hash(randomPrompt(20_000 + Math.floor(random() * 40_000))));
  }
  for (const tokens of [1000, 10_000, 100_000]) {
    for (const area of ["turn", "cold"]) {
      if (only !== undefined && only !== area) continue;
      const times: Record<"match" | "insert", { ours: number[]; naive: number[] }> = {
        match: { ours: [], naive: [] },
        insert: { ours: [], naive: [] },
      };
      for (let round = 0; round < 150; round++) {
        const id = `default/server-${Math.floor(random() * endpoints)}`;
        const words = hash(randomPrompt(tokens));
        const numbers = bigints(words);
        const blocks = numbers.length;
        if (area === "turn") insertBoth(id, words.subarray(0, Math.floor(blocks * 0.9) * 2));
        // What other requests do in between.
        for (let i = 0; i < 3; i++) {
          insertBoth(`default/server-${Math.floor(random() * endpoints)}`, hash(randomPrompt(8000)));
        }
        times.match.ours.push(timeOf(() => index.match(words, 0, blocks, new Int32Array(endpoints))));
        times.match.naive.push(timeOf(() => naive.match(numbers)));
        times.insert.ours.push(timeOf(() => index.insert(id, words, 0, blocks)));
        times.insert.naive.push(timeOf(() => naive.insert(id, numbers)));
      }
      for (const [step, { ours, naive: plain }] of Object.entries(times)) {
        // The first rounds warm up.
        row(
          `${area}/${step}/${tokens / 1000}k/${endpoints}-endpoints`,
          median(ours.slice(50)),
          median(plain.slice(50)),
        );
      }
    }
  }
  console.log(
    `  ${endpoints} endpoints: ${index.entries} entries, ${(index.memoryBytes / index.entries).toFixed(1)} bytes each`,
  );
}
