import {
  type AnyPluginDefinition,
  type AttributeType,
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  defineAttribute,
  definePlugin,
  type Endpoint,
  EXPECTED_LATENCY,
  KV_CACHE_USAGE,
  PREFIX_MATCH,
  RUNNING_REQUESTS_SIZE,
  slotTableLength,
  TOKENIZED_PROMPT,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { type Dispatch, EndpointWork } from "./endpoint-work.ts";
import { type ExpectedLatencyParams, expectedLatencyParams } from "./params.ts";
import { PoolModel } from "./pool-model.ts";

const DISPATCH: AttributeType<Dispatch> = defineAttribute({
  dataType: "ExpectedLatencyDispatch",
  scope: "request",
  defaultProducer: "expected-latency-producer",
});

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
  produces: (_params, name) => [EXPECTED_LATENCY.from(name), DISPATCH.from(name)],
  readsBody: ["request", "response"],
  create(params, host) {
    const prompts = host.requestReader(TOKENIZED_PROMPT.from());
    const matches = host.requestReader(PREFIX_MATCH.from(params.prefixMatchInfoProducerName));
    const usage = host.endpointReader(KV_CACHE_USAGE);
    const blocks = host.endpointReader(CACHE_NUM_BLOCKS);
    const blockSize = host.endpointReader(CACHE_BLOCK_SIZE);
    const waiting = host.endpointReader(WAITING_QUEUE_SIZE);
    const running = host.endpointReader(RUNNING_REQUESTS_SIZE);
    void waiting;
    void running;
    const write = host.requestWriter(EXPECTED_LATENCY.from(host.name));
    const read = host.requestReader(EXPECTED_LATENCY.from(host.name));
    const writeDispatch = host.requestWriter(DISPATCH.from(host.name));
    const readDispatch = host.requestReader(DISPATCH.from(host.name));
    const model = new PoolModel();
    const works = new Map<string, EndpointWork>();
    const workOf = (endpoint: Endpoint): EndpointWork => {
      let work = works.get(endpoint.id);
      if (work === undefined) {
        work = new EndpointWork(model);
        works.set(endpoint.id, work);
      }
      return work;
    };

    return {
      produce(request, endpoints) {
        const nowMs = host.clock.now();
        const promptTokens = prompts.get(request)?.totalTokens ?? 0;
        const match = matches.get(request);
        const length = slotTableLength(endpoints);
        const table = (): Float64Array => new Float64Array(length).fill(Number.NaN);
        const expected = {
          ttftMs: table(),
          queueMs: table(),
          memoryMs: table(),
          prefillMs: table(),
          decodeMs: table(),
          harmMs: table(),
          evictMs: table(),
        };
        const outputTokens = Math.min(model.outputTokens, request.body.maxOutputTokens ?? Number.POSITIVE_INFINITY);
        let best = 0;
        for (const endpoint of endpoints) {
          const { slot } = endpoint;
          const work = workOf(endpoint);
          const { factor } = work;
          const cachedTokens = Math.min(
            Math.max(0, promptTokens - 1),
            match === undefined ? 0 : (match.matchedBlocks[slot] ?? 0) * match.blockSizeTokens,
          );
          if (cachedTokens > best) best = cachedTokens;
          const uncachedTokens = promptTokens - cachedTokens;
          const ownMs = model.prefill(uncachedTokens, cachedTokens) * factor;
          const queueMs = work.backlogMs(nowMs);
          const context = work.contextTokens + (work.decoding * outputTokens) / 2;
          const stepMs = model.stepMs(context) * factor;
          let ttftMs = queueMs + ownMs + model.fixedMs * factor;
          let memoryMs = 0;
          const used = usage.get(endpoint);
          const capacity = (blocks.get(endpoint) ?? 0) * (blockSize.get(endpoint) ?? 0) * model.tokenRatio;
          if (used !== undefined && capacity > 0) {
            const usedTokens = used * capacity;
            const lacking =
              usedTokens + work.pendingTokens + (work.present * outputTokens) / 2 + uncachedTokens + outputTokens - capacity;
            if (lacking > 0) {
              memoryMs = (lacking / Math.max(1, usedTokens)) * outputTokens * stepMs;
              ttftMs = Math.max(ttftMs, memoryMs + ownMs);
            }
          }
          const addedMs = model.stepMsPerToken * (promptTokens + outputTokens / 2) * factor;
          expected.queueMs[slot] = queueMs;
          expected.memoryMs[slot] = memoryMs;
          expected.prefillMs[slot] = ownMs;
          expected.ttftMs[slot] = ttftMs;
          expected.decodeMs[slot] = (outputTokens - 1) * (stepMs + addedMs);
          expected.evictMs[slot] = ownMs * model.reuse;
          expected.harmMs[slot] = ownMs * work.present + addedMs * work.present * (outputTokens / 2);
        }
        if (promptTokens > 0) model.reuse += 0.02 * (best / promptTokens - model.reuse);
        write.set(request, expected);
      },

      preRequest(request, result) {
        const target = result.profiles.get(result.primaryProfile)?.targets[0];
        if (target === undefined) return undefined;
        const { slot } = target;
        const promptTokens = prompts.get(request)?.totalTokens ?? 0;
        const match = matches.get(request);
        const cachedTokens = Math.min(
          Math.max(0, promptTokens - 1),
          match === undefined ? 0 : (match.matchedBlocks[slot] ?? 0) * match.blockSizeTokens,
        );
        const expected = read.get(request);
        const work = workOf(target);
        const prefillMs = model.prefill(promptTokens - cachedTokens, cachedTokens);
        const dispatch: Dispatch = {
          work,
          promptTokens,
          uncachedTokens: promptTokens - cachedTokens,
          cachedTokens,
          prefillMs,
          expectedTtftMs: expected?.ttftMs[slot] ?? Number.NaN,
          sentAtMs: host.clock.now(),
          firstTokenAtMs: undefined,
          prefillDoneMs: 0,
          contextTokens: 0,
        };
        work.send(dispatch);
        model.learnPrompt(promptTokens, prefillMs);
        writeDispatch.set(request, dispatch);
        write.set(request, undefined);
        return undefined;
      },

      responseBody(request, _result, event) {
        const dispatch = readDispatch.get(request);
        if (dispatch === undefined) return;
        const nowMs = host.clock.now();
        if (event.startOfStream && event.chunkBytes > 0) dispatch.work.firstToken(dispatch, nowMs);
        if (!event.endOfStream) return;
        writeDispatch.set(request, undefined);
        const outputTokens = event.usage?.completionTokens;
        dispatch.work.end(dispatch, outputTokens, nowMs);
        if (outputTokens !== undefined) model.learnOutput(outputTokens);
        if (event.usage?.promptTokens !== undefined) model.learnRatio(dispatch.promptTokens, event.usage.promptTokens);
      },

      endpointChanged({ type, endpoint }) {
        if (type === "delete") works.delete(endpoint.id);
      },

      dumpState: () => ({ model: model.dump(), endpoints: works.size }),
    };
  },
});
