import type { PromptHashes } from "@pointsman/core/xxh64";

/** Blocks of all prompts of a request. */
export function blockCount(hashes: PromptHashes): number {
  return hashes.words.length / 2;
}

/**
 * How many leading blocks two requests share, all prompts of a request in a row.
 *
 * A block's hash covers its prompt from the start, so two prompts share all blocks up to the last one whose hashes are
 * equal. Cost: O(prompts + log blocks).
 */
export function sharedBlocks(a: PromptHashes, b: PromptHashes): number {
  let start = 0;
  for (let prompt = 0; prompt < a.ends.length && prompt < b.ends.length; prompt++) {
    const aEnd = a.ends[prompt]!;
    const bEnd = b.ends[prompt]!;
    if (aEnd === bEnd && (aEnd === start || sameBlock(a, b, aEnd - 1))) {
      start = aEnd;
      continue;
    }
    let same = start;
    let different = Math.min(aEnd, bEnd) + 1;
    while (different - same > 1) {
      const middle = (same + different) >> 1;
      if (sameBlock(a, b, middle - 1)) same = middle;
      else different = middle;
    }
    return same;
  }
  return start;
}

/** Orders requests by their blocks, so that of all requests the neighbours of one share most with it. */
export function compareBlocks(a: PromptHashes, b: PromptHashes): number {
  const shared = sharedBlocks(a, b);
  const at = shared * 2;
  if (at >= a.words.length || at >= b.words.length) return a.words.length - b.words.length;
  return a.words[at + 1]! - b.words[at + 1]! || a.words[at]! - b.words[at]!;
}

/** A text that is the same for requests with the same blocks. */
export function blocksKey({ words, ends }: PromptHashes): string {
  let key = "";
  let start = 0;
  for (const end of ends) {
    if (end > start) key += `${end}:${words[end * 2 - 2]}:${words[end * 2 - 1]};`;
    start = end;
  }
  return key;
}

function sameBlock(a: PromptHashes, b: PromptHashes, block: number): boolean {
  return a.words[block * 2] === b.words[block * 2] && a.words[block * 2 + 1] === b.words[block * 2 + 1];
}
