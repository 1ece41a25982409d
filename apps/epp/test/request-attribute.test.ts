/**
 * The case of the request attribute reporter in the Go picker's integration suite, on the real configuration, plugins
 * and request path. Source: spec ext-proc section 11, other suites.
 */
import {
  createTimers,
  DecisionLog,
  Exchange,
  type ExchangeSink,
  Headers,
  type MetadataObject,
  noMetrics,
  silentLogger,
  systemClock,
} from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { afterEach, expect, test } from "vitest";
import { createRouter } from "../src/process/create-router.ts";
import { loadGraph } from "../src/process/load-graph.ts";

const config = `
plugins:
  - {type: queue-scorer}
  - type: request-attribute-reporter
    parameters:
      attributes:
        - key: {namespace: envoy.lb, name: x-gateway-inference-request-cost}
          expression: usage.completion_tokens
          condition: has(usage.completion_tokens)
schedulingProfiles:
  - name: default
    plugins: [{pluginRef: queue-scorer}]
`;

const disposals: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const dispose of disposals.splice(0)) await dispose();
});

async function picker() {
  const datastore = new Datastore({
    pool: { name: "vllm-qwen3-32b-pool", namespace: "default", appProtocol: undefined },
    logger: silentLogger,
  });
  datastore.upsert({
    ...{ id: "default/pod-0-rank-0", namespace: "default", name: "pod-0", address: "192.168.1.1", port: 8000 },
    ...{ metricsHost: "192.168.1.1:8000", labels: {}, rankIndex: 0 },
  });
  const loaded = await loadGraph(
    { configFile: "", configText: config, endpointsFile: "" },
    { allowExperimental: false, stalenessMs: 60_000, logger: silentLogger, metrics: noMetrics, datastore },
  );
  if ("unreadable" in loaded || loaded.graph === undefined) throw new Error(JSON.stringify(loaded, null, 2));
  const { graph } = loaded;
  disposals.push(() => graph.dispose());
  return createRouter(graph, {
    endpoints: () => datastore.snapshot(),
    decisions: new DecisionLog(8, systemClock),
    clock: systemClock,
    timers: createTimers("test", silentLogger),
    logger: silentLogger,
    metrics: noMetrics,
    random: Math.random,
    maxRequestBodyBytes: 1024 * 1024,
    emitScores: false,
    ignoreSubsetHint: false,
    recordedSignals: [],
  });
}

interface BodyReply {
  readonly text: string;
  readonly endOfStream: boolean;
  readonly metadata: MetadataObject | undefined;
}

/** Body replies to an answer of these pieces, the last of which ends it. */
async function answer(contentType: string, pieces: readonly string[], stream: boolean): Promise<readonly BodyReply[]> {
  const replies: BodyReply[] = [];
  const sink: ExchangeSink = {
    routed: () => {},
    reply: (reply) => {
      throw new Error(`refused: ${reply.body}`);
    },
    requestTrailers: () => {},
    responseHeaders: () => {},
    responseBody: (bytes, endOfStream, metadata) =>
      replies.push({ text: Buffer.from(bytes).toString(), endOfStream, metadata }),
    responseTrailers: () => {},
  };
  const exchange = new Exchange(await picker(), sink);
  exchange.requestHeaders(Headers.from([[":path", "/v1/completions"]]), false, {});
  exchange.requestBody(Buffer.from(JSON.stringify({ model: "m", prompt: "p", stream })), true, {});
  await new Promise((resolve) => setImmediate(resolve));
  exchange.responseHeaders(
    Headers.from([
      [":status", "200"],
      ["content-type", contentType],
    ]),
    false,
    {},
  );
  pieces.forEach((piece, i) => {
    exchange.responseBody(Buffer.from(piece), i === pieces.length - 1);
  });
  exchange.close("client-disconnect");
  return replies;
}

const usage = '"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17}';
const reported = { "envoy.lb": { "x-gateway-inference-request-cost": 10 } };

test("a JSON answer's last body reply carries the value", async () => {
  const replies = await answer("application/json", [`{"choices":[],${usage}}`], false);
  expect(replies).toEqual([{ text: `{"choices":[],${usage}}`, endOfStream: true, metadata: reported }]);
});

test("a streamed answer carries the value on the reply to the piece that ends it, and on no other", async () => {
  const pieces = ["data: {}\n\n", `data: {"choices":[],${usage}}\n\n`, "data: [DONE]\n\n"];
  const replies = await answer("text/event-stream", pieces, true);
  expect(replies).toEqual(
    pieces.map((text, i) => ({ text, endOfStream: i === 2, metadata: i === 2 ? reported : undefined })),
  );
});

test("an answer without counts carries nothing", async () => {
  const replies = await answer("application/json", ['{"choices":[]}'], false);
  expect(replies.map(({ metadata }) => metadata)).toEqual([undefined]);
});
