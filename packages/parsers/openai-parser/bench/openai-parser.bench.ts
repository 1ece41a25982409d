// Cost of one request or answer in microseconds, beside JSON.parse of the same bytes in the same run.
//
//   node --conditions=@pointsman/source bench/openai-parser.bench.ts [part of a case name]
//
// `request/...`: parseRequest, beside JSON.parse of the body's text; `+ segments` adds promptSegments, and on the plain
// side the UTF-8 bytes of each role and content. `quotes`: a text with an escaped quote in every 60 bytes or so.
// `stream/...`: 1000 token events, one in a chunk, beside JSON.parse of each event. Both sides take turns; each figure
// is the fastest of its rounds.
import { Headers, hasRole, type Parser, RequestError } from "@pointsman/core";
import { buildPlugin, seededRandom } from "@pointsman/testkit";
import openaiParser from "../src/index.ts";

const { instance } = buildPlugin(openaiParser);
if (!hasRole(instance, "parser")) throw new Error("openai-parser is no parser");
const parser: Parser = instance;
const headers = new Headers();
const random = seededRandom(2026);
const path = "/v1/chat/completions";
const roundsMs = 1500;
/** Results are added up here, so that no work is left out as unused. */
let sink = 0;

interface BenchCase {
  readonly name: string;
  readonly ours: () => void;
  readonly plain: () => void;
}

function words(bytes: number, quotes: boolean): string {
  const list = "the request reads a long prompt about pages, blocks and caches; it goes on for many words.".split(" ");
  if (quotes) list[5] = '"long"';
  let text = "";
  while (text.length < bytes) text += `${list[Math.floor(random() * list.length)]} `;
  return text;
}

function chat(messages: number, bytesPerMessage: number, quotes: boolean): Buffer {
  const list = Array.from({ length: messages }, (_, i) => ({
    role: i % 2 === 0 ? "user" : "assistant",
    content: words(bytesPerMessage, quotes),
  }));
  return Buffer.from(
    JSON.stringify({ model: "meta-llama/Llama-3.1-8B-Instruct", messages: list, max_tokens: 256, stream: true }),
  );
}

function requestCase(name: string, body: Buffer, withSegments: boolean): BenchCase {
  return {
    name: `request/${name} ${(body.length / 1000).toFixed(1)} KB${withSegments ? " + segments" : ""}`,
    ours: () => {
      const parsed = parser.parseRequest(path, headers, body);
      if (parsed instanceof RequestError) throw new Error(parsed.message);
      if (withSegments) for (const segments of parsed.promptSegments()) sink += segments.length;
    },
    plain: () => {
      const { messages } = JSON.parse(body.toString()) as { messages: { role: string; content: string }[] };
      sink += messages.length;
      if (!withSegments) return;
      for (const { role, content } of messages) sink += Buffer.from(role).length + Buffer.from(content).length;
    },
  };
}

const model = "meta-llama/Llama-3.1-8B-Instruct";
const streamChunks = Array.from({ length: 1000 }, (_, i) =>
  Buffer.from(
    `data: ${JSON.stringify({
      id: "chatcmpl-7f3a9be2d0c14e5f8a6b",
      object: "chat.completion.chunk",
      created: 1700000000,
      model,
      choices: [{ index: 0, delta: { content: ` token${i}` }, logprobs: null, finish_reason: null }],
      ...(i === 999 ? { usage: { prompt_tokens: 7, completion_tokens: 999, total_tokens: 1006 } } : {}),
    })}\n\n`,
  ),
);

function streamCase(name: string, restoreModel: { readonly from: string; readonly to: string } | undefined): BenchCase {
  return {
    name: `stream/${name}`,
    ours: () => {
      const reader = parser.responseReader(undefined, { headers, streaming: true, restoreModel });
      for (const chunk of streamChunks) sink += reader.chunk(chunk, false).length;
      sink += reader.usage?.totalTokens ?? 0;
    },
    plain: () => {
      for (const chunk of streamChunks) sink += (JSON.parse(chunk.toString("utf8", 6)) as { created: number }).created;
    },
  };
}

function requestCases(messages: number, bytesPerMessage: number): BenchCase[] {
  const body = chat(messages, bytesPerMessage, false);
  return [
    requestCase("chat", body, false),
    requestCase("chat", body, true),
    requestCase("chat, quotes", chat(messages, bytesPerMessage, true), true),
  ];
}

const cases: readonly BenchCase[] = [
  ...requestCases(1, 1000),
  ...requestCases(40, 1000),
  ...requestCases(100, 4200),
  streamCase("1000 events", undefined),
  streamCase("1000 events, another model's name", { from: "other", to: "alias" }),
  streamCase("1000 events, name restored", { from: model, to: "alias" }),
];

function timeOf(run: () => void, times: number): number {
  const startMs = performance.now();
  for (let i = 0; i < times; i++) run();
  return ((performance.now() - startMs) / times) * 1000;
}

const only = process.argv[2] ?? "";
console.log(`${"case".padEnd(46)}${"us".padStart(10)}${"plain us".padStart(12)}${"ratio".padStart(9)}`);
for (const { name, ours, plain } of cases) {
  if (!name.includes(only)) continue;
  const times = Math.max(1, Math.floor(2000 / timeOf(plain, 3)));
  let best = Number.POSITIVE_INFINITY;
  let bestPlain = Number.POSITIVE_INFINITY;
  for (const endMs = performance.now() + roundsMs; performance.now() < endMs; ) {
    best = Math.min(best, timeOf(ours, times));
    bestPlain = Math.min(bestPlain, timeOf(plain, times));
  }
  const ratio = `${(bestPlain / best).toFixed(1)}x`;
  console.log(
    `${name.padEnd(46)}${best.toFixed(1).padStart(10)}${bestPlain.toFixed(1).padStart(12)}${ratio.padStart(9)}`,
  );
}
if (sink === 0) throw new Error("nothing was read");
