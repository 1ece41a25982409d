import {
  type Endpoint,
  hasRole,
  type InferenceRequest,
  PREFIX_MATCH,
  type SchedulingResult,
  TOKENIZED_PROMPT,
} from "@pointsman/core";
import { PrefixHasher } from "@pointsman/core/xxh64";
import { buildEndpoint, buildPlugin, buildRequest, seededRandom } from "@pointsman/testkit";
import approxPrefixCacheProducer from "../../../packages/producers/approx-prefix-cache-producer/src/index.ts";
import type { BenchCase, BenchRun, Row } from "../bench-case.ts";
import { figure } from "../figure.ts";
import { timeInTurn } from "../time-in-turn.ts";

const blockSizeTokens = 64;
const capacityBlocks = 4000;
const sharedBlocks = 16;
const model = "Qwen/Qwen3-8B";

/** What the prefix cache adds to one request, by the length of its prompt and the size of the pool. */
export const prefixCacheCases: readonly BenchCase[] = [10, 100, 1000].flatMap((endpoints) =>
  [1000, 10_000, 100_000].map((tokens) => ({
    name: `prefix-cache/${tokens / 1000}k-${endpoints}`,
    about: `CPU in this process, warm, of approx-prefix-cache-producer for a prompt of as many tokens (1k, 10k, 100k) and as many endpoints: hashing, look-up and recording of a prompt that is known up to its last tenth. Every endpoint holds ${capacityBlocks} blocks of ${blockSizeTokens} tokens, which is its capacity, so each new block drops an old one; all hold the first ${sharedBlocks}. In turn with it, hashing alone. Memory is the index's, by the blocks that endpoints hold.`,
    run: (bench: BenchRun) => run(bench, tokens, endpoints),
  })),
);

async function run(bench: BenchRun, tokens: number, count: number): Promise<readonly Row[]> {
  const name = `prefix-cache/${tokens / 1000}k-${count}`;
  bench.progress(name);
  const random = seededRandom(2026);
  const randomTokens = (length: number): Uint32Array =>
    Uint32Array.from({ length }, () => Math.floor(random() * 0x1_0000_0000));
  const shared = randomTokens(sharedBlocks * blockSizeTokens);
  const prompt = (length: number): Uint32Array => {
    const tokenIds = randomTokens(length);
    tokenIds.set(shared.subarray(0, Math.min(shared.length, length)));
    return tokenIds;
  };
  const endpoints = Array.from({ length: count }, (_, slot) => buildEndpoint(slot));
  const { instance } = buildPlugin(approxPrefixCacheProducer, {
    endpoints: () => endpoints,
    params: { autoTune: false, blockSizeTokens, lruCapacityPerServer: capacityBlocks },
  });
  if (!hasRole(instance, "dataProducer") || !hasRole(instance, "preRequest")) throw new Error("a role is missing");

  const requestOf = (tokenIds: Uint32Array): InferenceRequest =>
    buildRequest({
      targetModel: model,
      attributes: [
        [
          TOKENIZED_PROMPT.from(),
          { prompts: [{ tokenIds, features: [] }], totalTokens: tokenIds.length, estimated: true },
        ],
      ],
    });
  const results = endpoints.map(chosen);
  const decide = (request: InferenceRequest, slot: number): void => {
    void instance.produce(request, endpoints);
    instance.preRequest(request, results[slot]!);
  };

  for (let slot = 0; slot < count; slot++) {
    for (let blocks = 0; blocks < capacityBlocks * 1.1; blocks += 500) {
      decide(requestOf(prompt(500 * blockSizeTokens)), slot);
    }
  }
  const state = instance.dumpState?.() as { readonly memoryBytes: number } | undefined;
  const bytesPerBlock = (state?.memoryBytes ?? Number.NaN) / (count * capacityBlocks);

  // A conversation at each turn: what stays the same, and another end for each request.
  const conversations = Array.from({ length: 16 }, (_, i) => ({ tokenIds: prompt(tokens), slot: i % count }));
  const knownTokens = Math.floor(tokens * 0.9);
  const turn = (call: number): void => {
    const { tokenIds, slot } = conversations[call % conversations.length]!;
    tokenIds.fill(Math.floor(random() * 0x1_0000_0000), knownTokens);
    decide(requestOf(tokenIds), slot);
  };
  for (let call = 0; call < conversations.length; call++) turn(call);
  const check = requestOf(conversations[0]!.tokenIds);
  void instance.produce(check, endpoints);
  const match = check.attributes.get(PREFIX_MATCH.from());
  if ((match?.matchedBlocks[0] ?? 0) === 0) throw new Error("the endpoint of a conversation holds none of it");

  const hasher = new PrefixHasher();
  let sink = 0;
  const hashing = (call: number): void => {
    const hashes = hasher.hash([conversations[call % conversations.length]!], model, "", blockSizeTokens, 2048);
    sink += hashes.words[0]!;
  };
  const timing = bench.quick
    ? { warmMs: 100, batchMs: 20, batchesPerRound: 4, rounds: 2 }
    : { warmMs: 1000, batchMs: 25, batchesPerRound: 20, rounds: 3 };
  const [requests, hashes] = timeInTurn([turn, hashing], timing);
  await instance.dispose?.();
  if (!Number.isFinite(sink)) throw new Error("nothing was hashed");
  return [
    figure({
      case: name,
      quantity: "CPU us/request",
      pointsman: requests!,
      reference: { what: "hashing alone", values: hashes! },
      note: `${bytesPerBlock.toFixed(0)} bytes/block held`,
    }),
  ];
}

function chosen(endpoint: Endpoint): SchedulingResult {
  const profile = { targets: [endpoint], candidates: [endpoint], totals: Float64Array.of(1) };
  return { primaryProfile: "default", profiles: new Map([["default", profile]]) };
}
