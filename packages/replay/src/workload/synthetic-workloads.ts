import { SeededRandom } from "../seeded-random.ts";
import type { RequestOutline, Segment } from "./workload.ts";

/** Content ids of different kinds never meet. */
const kindSize = 2 ** 40;
const id = (kind: number, ...parts: readonly number[]): number =>
  kind * kindSize + parts.reduce((sum, part) => sum * 10_000 + part, 0);

/** Requests whose prompt starts with one of many long system prompts, each equally often. Poisson arrivals, one a second. */
export function sharedPrefixRequests(count: number, seed: number): readonly RequestOutline[] {
  const random = new SeededRandom(seed, 1);
  let atMs = 0;
  return Array.from({ length: count }, (_, index) => {
    atMs += random.exponential() * 1000;
    const system = random.between(0, 149);
    const question = random.between(0, 4);
    return {
      atMs,
      prompt: [
        { id: id(10, system), tokens: 9500 },
        { id: id(11, system, question), tokens: 500 },
      ],
      output: { id: id(12, index), tokens: 1000 },
    };
  });
}

/** Chats about a document: each turn repeats what was said before, and comes some seconds after the last answer. One new chat a second. */
export function multiTurnRequests(count: number, seed: number): readonly RequestOutline[] {
  const random = new SeededRandom(seed, 2);
  const outlines: RequestOutline[] = [];
  let startMs = 0;
  for (let chat = 0; outlines.length < count; chat++) {
    startMs += random.exponential() * 1000;
    const said: Segment[] = [
      { id: id(20, random.between(0, 3)), tokens: 600, role: "system" },
      { id: id(21, chat), tokens: random.between(8000, 24_000), role: "user" },
    ];
    const turns = random.between(2, 6);
    for (let turn = 0; turn < turns && outlines.length < count; turn++) {
      said.push({ id: id(22, chat, turn), tokens: random.between(50, 450), role: "user" });
      const output = { id: id(23, chat, turn), tokens: random.between(300, 900) };
      outlines.push({
        atMs: turn === 0 ? startMs : 1000 + random.exponential() * 6000,
        ...(turn === 0 ? {} : { follows: outlines.length - 1 }),
        session: `session-${chat}`,
        prompt: [...said],
        output,
      });
      said.push({ ...output, role: "assistant" });
    }
  }
  return outlines;
}

/** Prefixes whose popularity follows a power law: a third of all requests share one, more than one server can take. */
export function hotPrefixRequests(count: number, seed: number): readonly RequestOutline[] {
  const random = new SeededRandom(seed, 3);
  const sums: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= 64; rank++) {
    sum += rank ** -1.3;
    sums.push(sum);
  }
  let atMs = 0;
  return Array.from({ length: count }, (_, index) => {
    atMs += random.exponential() * 1000;
    const drawn = random.uniform() * sum;
    const prefix = sums.findIndex((upTo) => drawn < upTo);
    return {
      atMs,
      prompt: [
        { id: id(30, prefix), tokens: 12_000 },
        { id: id(31, index), tokens: 500 },
      ],
      output: { id: id(32, index), tokens: random.between(300, 700) },
    };
  });
}
