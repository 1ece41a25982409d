/** Requests that pass through the real router are recorded, and the record can be replayed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DecisionLog,
  Exchange,
  type ExchangeSink,
  Headers,
  noMetrics,
  silentLogger,
  systemClock,
} from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { readTrace } from "@pointsman/replay";
import { afterAll, expect, test, vi } from "vitest";
import { replayCommand } from "../src/cli/replay.ts";
import { createRouter } from "../src/process/create-router.ts";
import { loadGraph } from "../src/process/load-graph.ts";

vi.setConfig({ testTimeout: 120_000 });

const directory = mkdtempSync(join(tmpdir(), "epp-decision-log-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const configFile = join(directory, "epp.yaml");
const log = join(directory, "decisions.jsonl");
writeFileSync(
  configFile,
  `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - {type: queue-scorer}
  - {type: prefix-cache-scorer}
  - {type: session-id-producer, parameters: {headerName: x-session-id}}
  - type: decision-log-recorder
    parameters: {path: decisions.jsonl, salt: secret}
schedulingProfiles:
  - name: default
    plugins: [{pluginRef: queue-scorer}, {pluginRef: prefix-cache-scorer, weight: 3}]
`,
);

const chats = 10;
const turns = 4;
const turnTokens = 3000;

/** What a chat said up to a turn: four bytes to a token, as the picker estimates. */
const saidUpTo = (chat: number, turn: number): string =>
  Array.from({ length: turn + 1 }, (_, i) => `chat ${chat} turn ${i} `.padEnd(turnTokens * 4, "private words ")).join(
    "",
  );

/** Sends every turn of every chat through a picker with the recorder, and ends the picker. */
async function record(): Promise<void> {
  const datastore = new Datastore({
    pool: { name: "pool", namespace: "default", appProtocol: undefined },
    logger: silentLogger,
  });
  for (const index of [1, 2, 3]) {
    const address = `10.0.0.${index}`;
    datastore.upsert({
      ...{ id: `default/server-${index}`, namespace: "default", name: `server-${index}`, address, port: 8000 },
      ...{ metricsHost: `${address}:8000`, labels: {}, rankIndex: 0 },
    });
  }
  const loaded = await loadGraph(
    { configFile, configText: "", endpointsFile: "" },
    { allowExperimental: true, stalenessMs: 60_000, logger: silentLogger, metrics: noMetrics, datastore },
  );
  if ("unreadable" in loaded || loaded.graph === undefined) throw new Error(JSON.stringify(loaded, null, 2));
  const { graph } = loaded;
  const timer = { stop: () => undefined };
  const router = createRouter(graph, {
    endpoints: () => datastore.snapshot(),
    decisions: new DecisionLog(0, systemClock),
    clock: systemClock,
    timers: { after: () => timer, every: () => timer },
    logger: silentLogger,
    metrics: noMetrics,
    random: Math.random,
    maxRequestBodyBytes: 1024 ** 3,
    emitScores: false,
    ignoreSubsetHint: false,
    recordedSignals: [],
  });
  for (let turn = 0; turn < turns; turn++) {
    for (let chat = 0; chat < chats; chat++) {
      const exchange = new Exchange(router, quietSink);
      const body = { model: "m", prompt: saidUpTo(chat, turn), stream: true };
      exchange.requestHeaders(
        Headers.from([
          [":path", "/v1/completions"],
          ["x-session-id", `secret session ${chat}`],
        ]),
        false,
        {},
      );
      exchange.requestBody(Buffer.from(JSON.stringify(body)), true, {});
      await new Promise((resolve) => setImmediate(resolve));
      exchange.responseHeaders(
        Headers.from([
          [":status", "200"],
          ["content-type", "text/event-stream"],
        ]),
        false,
        {},
      );
      exchange.responseBody(Buffer.from('data: {"choices":[{"text":"hi"}]}\n\n'), false);
      exchange.responseBody(
        Buffer.from(
          `data: {"choices":[],"usage":{"prompt_tokens":${turnTokens},"completion_tokens":${20 + turn},"total_tokens":9}}\n\n` +
            "data: [DONE]\n\n",
        ),
        true,
      );
      exchange.close("client-disconnect");
    }
  }
  await graph.dispose();
}

const quietSink: ExchangeSink = {
  routed: () => undefined,
  reply: (reply) => {
    throw new Error(`refused: ${reply.body}`);
  },
  requestTrailers: () => undefined,
  responseHeaders: () => undefined,
  responseBody: () => undefined,
  responseTrailers: () => undefined,
};

async function replay(...args: readonly string[]): Promise<{ readonly loads: readonly Load[] }> {
  let out = "";
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const code = await replayCommand.run([...args, "--json"]);
  stdout.mockRestore();
  expect(code).toBe(0);
  return JSON.parse(out) as { readonly loads: readonly Load[] };
}

interface Load {
  readonly outcomes: readonly { readonly policy: string; readonly hitRate: number; readonly problems: object }[];
}

test("recorded requests are a trace: its lengths, shared beginnings and sessions are those of the requests", async () => {
  await record();
  const text = readFileSync(log, "utf8");
  expect(text).not.toMatch(/private|secret|chat/);
  const outlines = readTrace(text, log, 1000, 1);
  expect(outlines).toHaveLength(chats * turns);
  const bySession = new Map<string | undefined, typeof outlines>();
  for (const outline of outlines) {
    bySession.set(outline.session, [...(bySession.get(outline.session) ?? []), outline]);
  }
  expect(bySession.size).toBe(chats);
  for (const [session, ofChat] of bySession) {
    expect(session).toMatch(/^[0-9a-z]+$/);
    expect(ofChat.map(({ output }) => output.tokens)).toEqual([20, 21, 22, 23]);
    ofChat.forEach(({ prompt }, turn) => {
      expect(prompt.reduce((sum, { tokens }) => sum + tokens, 0)).toBe((turn + 1) * turnTokens);
      const longer = ofChat[turn + 1]?.prompt;
      // All but the last block, which the next turn goes on with.
      if (longer !== undefined) expect(longer.slice(0, prompt.length - 1)).toEqual(prompt.slice(0, -1));
    });
  }

  // The later turns repeat what was said: (1 + 2 + 3) of (1 + 2 + 3 + 4) parts can be found in a cache.
  const { loads } = await replay(configFile, "--allow-experimental-plugins", `--trace=${log}`, "--rate-scale=0.001");
  const [random, fewest, ours] = loads[0]!.outcomes;
  expect(ours!.policy).toBe(configFile);
  expect(ours!.hitRate).toBeGreaterThan(0.5);
  expect(ours!.hitRate).toBeGreaterThan(Math.max(random!.hitRate, fewest!.hitRate));
  expect(ours!.problems).toEqual({});
  expect(readFileSync(log, "utf8"), "a replay records nothing").toBe(text);
});
