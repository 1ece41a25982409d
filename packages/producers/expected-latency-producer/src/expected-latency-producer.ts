import {
  type AnyPluginDefinition,
  type AttributeType,
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  defineAttribute,
  definePlugin,
  type Endpoint,
  EXPECTED_LATENCY,
  type InferenceRequest,
  KV_CACHE_USAGE,
  PREFIX_MATCH,
  type PrefixMatch,
  RUNNING_REQUESTS_SIZE,
  TOKENIZED_PROMPT,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { agreedEndpoint } from "./agreed-endpoint.ts";
import type { Dispatch } from "./endpoint-work.ts";
import { type AlignedWorks, EndpointWorks } from "./endpoint-works.ts";
import { estimateCosts } from "./expected-costs.ts";
import { ExpectedTables } from "./expected-tables.ts";
import { type ExpectedLatencyParams, expectedLatencyParams } from "./params.ts";
import { PoolModel } from "./pool-model.ts";
import { PredictionMetrics } from "./prediction-metrics.ts";
import { prefixHashes, SharedPrefixes, SparedTokens } from "./shared-prefixes.ts";

/** A request on its way, kept on it from its decision to the end of its answer. */
const DISPATCH: AttributeType<Dispatch> = defineAttribute({
  dataType: "ExpectedLatencyDispatch",
  scope: "request",
  defaultProducer: "expected-latency-producer",
});

interface PromptContent {
  /** What it begins with: hashes for each of the lengths that are told apart. */
  readonly prefixes: readonly number[];
  /** Tokens that no candidate was known to hold. */
  readonly newTokens: number;
}

/** What a request's prompt has in common with others, as of its last decision. */
const CONTENT: AttributeType<PromptContent> = defineAttribute({
  dataType: "ExpectedLatencyContent",
  scope: "request",
  defaultProducer: "expected-latency-producer",
});

/** Share of an unknown prefix that is expected on the endpoint all pickers agree on, where others send requests too. */
const agreedCached = 0.6;
/** Share of others' requests from which on they count: less is what the engine's count lags behind by. */
const minForeignShare = 0.05;
const maxDumpedEndpoints = 100;
const maxPromptTokens = 1e8;
const maxCacheTokens = 1e12;

export const expectedLatencyProducer: AnyPluginDefinition = definePlugin<ExpectedLatencyParams>({
  type: "expected-latency-producer",
  kind: "producer",
  stability: "alpha",
  summary: "Produces what each choice is expected to cost a request and the others, learned from answers.",
  params: expectedLatencyParams,
  consumes: ({ prefixMatchInfoProducerName }) => ({
    required: [TOKENIZED_PROMPT.from(), PREFIX_MATCH.from(prefixMatchInfoProducerName)],
    optional: [KV_CACHE_USAGE, CACHE_NUM_BLOCKS, CACHE_BLOCK_SIZE, WAITING_QUEUE_SIZE, RUNNING_REQUESTS_SIZE],
  }),
  produces: (_params, name) => [EXPECTED_LATENCY.from(name), DISPATCH.from(name), CONTENT.from(name)],
  readsBody: ["request", "response"],
  create({ prefixMatchInfoProducerName }, host) {
    const prompts = host.requestReader(TOKENIZED_PROMPT.from());
    const matches = host.requestReader(PREFIX_MATCH.from(prefixMatchInfoProducerName));
    const cacheUsage = host.endpointReader(KV_CACHE_USAGE);
    const cacheBlocks = host.endpointReader(CACHE_NUM_BLOCKS);
    const cacheBlockTokens = host.endpointReader(CACHE_BLOCK_SIZE);
    const waiting = host.endpointReader(WAITING_QUEUE_SIZE);
    const running = host.endpointReader(RUNNING_REQUESTS_SIZE);
    const writeExpected = host.requestWriter(EXPECTED_LATENCY.from(host.name));
    const readExpected = host.requestReader(EXPECTED_LATENCY.from(host.name));
    const writeDispatch = host.requestWriter(DISPATCH.from(host.name));
    const readDispatch = host.requestReader(DISPATCH.from(host.name));
    const writeContent = host.requestWriter(CONTENT.from(host.name));
    const readContent = host.requestReader(CONTENT.from(host.name));
    const metrics = new PredictionMetrics(host);
    const model = new PoolModel();
    const works = new EndpointWorks(model, () => host.endpoints());
    const prefixes = new SharedPrefixes();
    const spared = new SparedTokens();
    /** Share of the requests in the pool that others sent, as of the last decision. */
    let foreignShare = 0;

    /** Prompts of unknown length count as empty: then what is queued decides. */
    function promptTokensOf(request: InferenceRequest): number {
      const tokens = prompts.get(request)?.totalTokens ?? 0;
      return tokens >= 0 && tokens <= maxPromptTokens ? tokens : 0;
    }

    /** Prompt tokens in the endpoint's cache. The last token of a prompt is always computed. */
    function cachedTokens(match: PrefixMatch | undefined, slot: number, promptTokens: number): number {
      const matched = match === undefined ? 0 : (match.matchedBlocks[slot] ?? 0) * match.blockSizeTokens;
      return matched > 0 ? Math.min(matched, Math.max(0, promptTokens - 1)) : 0;
    }

    /** Finds out how much of the request's prefixes later ones will want on one more endpoint. False if nothing. */
    function findSpared(hashes: readonly number[], match: PrefixMatch | undefined, slots: Uint32Array): boolean {
      if (hashes.length === 0 || match === undefined || prefixes.coming(hashes[0]!) <= 0) return false;
      spared.begin(hashes.length);
      const { matchedBlocks, blockSizeTokens } = match;
      for (let i = 0; i < slots.length; i++) {
        const blocks = matchedBlocks[slots[i]!];
        if (blocks !== undefined && blocks > 0) spared.held(blocks * blockSizeTokens);
      }
      spared.settle((length) => prefixes.coming(hashes[length]!));
      return true;
    }

    /** Notes what engines tell of their load and their cache. */
    function readEngines(endpoints: readonly Endpoint[], candidates: AlignedWorks, nowMs: number): void {
      const { table, rows, capacityTokens, usedTokens } = candidates;
      const { tokenRatio } = model;
      for (let i = 0; i < rows.length; i++) {
        const endpoint = endpoints[i]!;
        const runningRequests = running.fresh(endpoint, nowMs);
        const waitingRequests = waiting.fresh(endpoint, nowMs);
        if (runningRequests !== undefined && waitingRequests !== undefined) {
          table.scraped(rows[i]!, runningRequests, waitingRequests, nowMs);
        }
        const usage = cacheUsage.fresh(endpoint, nowMs);
        const tokens = (cacheBlocks.get(endpoint) ?? 0) * (cacheBlockTokens.get(endpoint) ?? 0) * tokenRatio;
        const isKnown = usage !== undefined && usage >= 0 && usage <= 1 && tokens > 0 && tokens <= maxCacheTokens;
        capacityTokens[i] = isKnown ? tokens : Number.POSITIVE_INFINITY;
        usedTokens[i] = isKnown ? usage * tokens : 0;
      }
    }

    /** Notes for each candidate what it is expected to hold of the prompt. Returns the most that one is said to hold. */
    function expectCached(
      { table, rows, slots, cachedTokens: cached, sparedTokens }: AlignedWorks,
      match: PrefixMatch | undefined,
      promptTokens: number,
      isShared: boolean,
    ): number {
      const { cacheTrust } = table;
      let mostTokens = 0;
      for (let i = 0; i < rows.length; i++) {
        const matched = cachedTokens(match, slots[i]!, promptTokens);
        if (matched > mostTokens) mostTokens = matched;
        const trusted = matched * cacheTrust[rows[i]!]!;
        cached[i] = trusted;
        sparedTokens[i] = isShared ? spared.of(trusted) : 0;
      }
      return mostTokens;
    }

    /** A request leaves the endpoint it is on. */
    function finish(request: InferenceRequest, dispatch: Dispatch, outputTokens: number | undefined): void {
      writeDispatch.set(request, undefined);
      prefixes.remove(readContent.get(request)?.prefixes ?? []);
      dispatch.work.end(dispatch, outputTokens, host.clock.now());
    }

    return {
      produce(request, endpoints) {
        const nowMs = host.clock.now();
        const promptTokens = promptTokensOf(request);
        const outputTokens = model.outputTokens(request.targetModel, request.body.maxOutputTokens);
        const candidates = works.ofAll(endpoints);
        const expected = new ExpectedTables(candidates.slotTableLength, endpoints.length, model.usualEndToEndRatio);
        const match = matches.get(request);
        const tokens = prompts.get(request)?.prompts[0]?.tokenIds;
        const hashes = tokens === undefined ? [] : prefixHashes(tokens);
        const isShared = findSpared(hashes, match, candidates.slots);
        const isAgreed = foreignShare >= minForeignShare && tokens !== undefined;
        const agreed = isAgreed ? agreedEndpoint(tokens, candidates.idHashes) : -1;
        readEngines(endpoints, candidates, nowMs);
        const { works: records, table, rows } = candidates;
        let present = 0;
        let foreign = 0;
        for (let i = 0; i < rows.length; i++) {
          const row = rows[i]!;
          if (nowMs >= table.dueMs[row]!) records[i]!.follow(nowMs);
          present += table.present(row);
          foreign += table.foreign[row]!;
        }
        const mostCachedTokens = expectCached(candidates, match, promptTokens, isShared);
        if (agreed !== -1) {
          // What others sent there is not known; that they agree on this endpoint is.
          const matched = cachedTokens(match, candidates.slots[agreed]!, promptTokens);
          const share = agreedCached * Math.min(1, foreignShare * 4);
          candidates.cachedTokens[agreed]! += Math.max(0, promptTokens - 1 - matched) * share;
          if (isShared) candidates.sparedTokens[agreed] = spared.of(candidates.cachedTokens[agreed]!);
        }
        const newTokens = promptTokens - mostCachedTokens;
        writeContent.set(request, { prefixes: hashes, newTokens });
        estimateCosts(model, candidates, { promptTokens, newTokens, outputTokens }, nowMs, expected);
        foreignShare = present > 0 ? foreign / present : 0;
        model.learnReuse(mostCachedTokens, promptTokens);
        writeExpected.set(request, expected);
      },

      preRequest(request, result) {
        // A request that is decided once more leaves the endpoint it was counted on.
        const before = readDispatch.get(request);
        if (before !== undefined) finish(request, before, undefined);
        const target = result.profiles.get(result.primaryProfile)?.targets[0];
        const expected = readExpected.get(request);
        const ttftMs = (target === undefined ? undefined : expected?.ttftMs[target.slot]) ?? Number.NaN;
        writeExpected.set(request, undefined);
        if (target === undefined) return undefined;
        const work = works.of(target);
        const content = readContent.get(request);
        const promptTokens = promptTokensOf(request);
        const cached = cachedTokens(matches.get(request), target.slot, promptTokens) * work.cacheTrust;
        const prefillMs = model.prefillMs(promptTokens - cached, cached);
        model.learnPrompt(promptTokens, prefillMs);
        const plan = {
          promptTokens,
          cachedTokens: cached,
          newTokens: content?.newTokens ?? 0,
          prefillMs,
          ttftMs,
          sentAtMs: host.clock.now(),
          streams: request.body.stream,
        };
        writeDispatch.set(request, work.send(plan));
        prefixes.add(content?.prefixes ?? []);
        return undefined;
      },

      responseHeaders(request, _result, { status }) {
        const dispatch = readDispatch.get(request);
        if (dispatch === undefined || status === undefined || (status >= 200 && status < 300)) return;
        // How fast an engine refuses says nothing of how fast it computes.
        finish(request, dispatch, undefined);
      },

      responseBody(request, _result, event) {
        const dispatch = readDispatch.get(request);
        if (dispatch === undefined) return;
        const { plan, work } = dispatch;
        const nowMs = host.clock.now();
        // What comes whole and holds no event is no stream, whatever was asked for.
        const isWhole = event.endOfStream && event.streamedEvents === 0;
        if (event.startOfStream && event.chunkBytes > 0 && plan.streams && !isWhole) {
          metrics.observe(plan.ttftMs, nowMs - plan.sentAtMs);
          work.firstToken(dispatch, nowMs);
        }
        if (!event.endOfStream) return;
        const { usage } = event;
        const isComplete = event.terminationCause === "natural";
        if (isComplete && plan.streams && dispatch.state === "decoding") {
          model.learnLatency(dispatch.firstTokenAtMs - plan.sentAtMs, nowMs - plan.sentAtMs);
        }
        // Engines that report no usage send a token in each event.
        const outputTokens = usage?.completionTokens ?? (event.streamedEvents > 0 ? event.streamedEvents : undefined);
        finish(request, dispatch, isComplete ? outputTokens : undefined);
        if (!isComplete) return;
        if (outputTokens !== undefined) model.learnOutput(request.targetModel, outputTokens);
        if (usage?.promptTokens === undefined) return;
        model.learnTokenRatio(plan.promptTokens, usage.promptTokens);
        if (usage.cachedTokens !== undefined) work.learnCache(plan.cachedTokens, usage.cachedTokens * model.tokenRatio);
      },

      endpointChanged({ type, endpoint }) {
        if (type === "delete") works.delete(endpoint);
      },

      dumpState: () => ({
        model: model.dump(),
        endpoints: Array.from(works.entries(), ([endpoint, work]) => ({
          endpoint,
          ...work.dump(host.clock.now()),
        })).slice(0, maxDumpedEndpoints),
        totalEndpoints: works.size,
        maxEndpoints: maxDumpedEndpoints,
      }),
    };
  },
});
