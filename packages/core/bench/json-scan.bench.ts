// Compares scanJson with JSON.parse(Buffer.toString()) on request bodies, in one run on the same inputs.
// Usage: node --conditions=@pointsman/source packages/core/bench/json-scan.bench.ts [part of a case name]
// Each figure is the fastest of many rounds in which both sides take turns; the ratio is JSON.parse time / scan time.
import { elements, get, members, scanJson, stringValue, writeStringBytes } from "@pointsman/core/json";

interface BenchCase {
  readonly name: string;
  readonly body: Buffer;
  /** Reads what a request parser reads: the model, and the text of all messages as UTF-8 bytes. */
  readonly flattens: boolean;
}

let seed = 20_240_817;

/** Pseudo-random integer from 0 to `below` - 1. */
function random(below: number): number {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 0x1_0000_0000) * below);
}

const ASCII_WORDS = "the request reads a long prompt about pages, blocks and caches; it goes on for many words.".split(
  " ",
);
const ESCAPED_WORDS = ['"key":', '"value",\n', "C:\\path\\file", "tab\there", "line\n", "\u0001", "plain", "words"];
const CODE_WORDS = 'for (const item of list) {\n    count += item.size;\n  }\n return "name" + value;'.split(" ");
const UNICODE_WORDS = ["größe", "数据", "запрос", "😀", "naïve", "plain", "words"];

function text(bytes: number, words: readonly string[]): string {
  const parts: string[] = [];
  for (let length = 0; length < bytes; ) {
    const word = words[random(words.length)] ?? "";
    parts.push(word);
    length += word.length + 1;
  }
  return parts.join(" ");
}

function chat(messages: number, bytesPerMessage: number, words: readonly string[]): Buffer {
  const body = {
    model: "example/model-8b",
    messages: Array.from({ length: messages }, (_, index) => ({
      role: index % 2 === 0 ? "user" : "assistant",
      content: text(bytesPerMessage, words),
    })),
    max_tokens: 256,
    temperature: 0.7,
    stream: true,
  };
  return Buffer.from(JSON.stringify(body));
}

function deep(depth: number, copies: number): Buffer {
  const one = `${'{"a":['.repeat(depth / 2)}1${"]}".repeat(depth / 2)}`;
  return Buffer.from(`[${Array.from({ length: copies }, () => one).join(",")}]`);
}

function manyMembers(count: number): Buffer {
  const members = Array.from({ length: count }, (_, index) => [`key_${index}`, random(3) === 0 ? "text" : random(1e6)]);
  return Buffer.from(JSON.stringify(Object.fromEntries(members)));
}

const cases: readonly BenchCase[] = [
  { name: "json-scan/chat-1.2KB", body: chat(4, 240, ASCII_WORDS), flattens: true },
  { name: "json-scan/chat-43KB", body: chat(20, 2_100, ASCII_WORDS), flattens: true },
  { name: "json-scan/chat-430KB", body: chat(200, 2_100, ASCII_WORDS), flattens: true },
  { name: "json-scan/chat-430KB-one-message", body: chat(1, 430_000, ASCII_WORDS), flattens: true },
  { name: "json-scan/chat-430KB-unicode", body: chat(200, 1_500, UNICODE_WORDS), flattens: true },
  { name: "json-scan/chat-430KB-escapes", body: chat(200, 1_900, ESCAPED_WORDS), flattens: true },
  { name: "json-scan/chat-430KB-code", body: chat(200, 1_950, CODE_WORDS), flattens: true },
  { name: "json-scan/deep-500", body: deep(500, 100), flattens: false },
  { name: "json-scan/small-members-300KB", body: manyMembers(16_000), flattens: false },
  {
    name: "json-scan/token-ids-430KB",
    body: Buffer.from(JSON.stringify({ prompt: Array.from({ length: 70_000 }, () => random(128_000)) })),
    flattens: false,
  },
];

const flat = Buffer.alloc(1 << 20);
let sink = 0;

function scanOnly(body: Buffer): void {
  const document = scanJson(body);
  if (!document.ok) throw new Error(document.message);
  sink += document.root.end;
}

function parseOnly(body: Buffer): void {
  const parsed: unknown = JSON.parse(body.toString());
  sink += typeof parsed === "object" ? 1 : 0;
}

function scanAndFlatten(body: Buffer): void {
  const document = scanJson(body);
  if (!document.ok) throw new Error(document.message);
  sink += stringValue(get(document.root, "model"))?.length ?? 0;
  const messages = elements(get(document.root, "messages"));
  let offset = 0;
  while (messages.next()) {
    const message = members(messages);
    while (message.next()) {
      if (message.keyIs("role") || message.keyIs("content")) offset += writeStringBytes(message, flat, offset) ?? 0;
    }
  }
  sink += offset;
}

function parseAndFlatten(body: Buffer): void {
  const parsed: { model: string; messages: { role: string; content: string }[] } = JSON.parse(body.toString());
  sink += parsed.model.length;
  let offset = 0;
  for (const message of parsed.messages) {
    offset += flat.write(message.role, offset);
    offset += flat.write(message.content, offset);
  }
  sink += offset;
}

/** Runs both in turns and returns the fastest round of each, in microseconds per call. */
function compare(body: Buffer, ours: (body: Buffer) => void, theirs: (body: Buffer) => void): [number, number] {
  const calls = Math.max(1, Math.round(400_000 / body.length));
  const fastest: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < 300; round++) {
    for (const [side, run] of [ours, theirs].entries()) {
      const start = process.hrtime.bigint();
      for (let call = 0; call < calls; call++) run(body);
      const us = Number(process.hrtime.bigint() - start) / 1000 / calls;
      fastest[side as 0 | 1] = Math.min(fastest[side as 0 | 1], us);
    }
  }
  return fastest;
}

function print(name: string, work: string, body: Buffer, [ours, theirs]: [number, number]): void {
  const mbPerS = body.length / ours;
  const columns = [
    name.padEnd(34),
    work.padEnd(12),
    String(body.length).padStart(7),
    ours.toFixed(1).padStart(9),
    mbPerS.toFixed(0).padStart(7),
    theirs.toFixed(1).padStart(11),
    (theirs / ours).toFixed(2).padStart(6),
  ];
  console.log(columns.join(" "));
}

const wanted = process.argv[2] ?? "";
console.log(`${"case".padEnd(34)} ${"work".padEnd(12)}   bytes   scan us    MB/s JSON.parse us  ratio`);
for (const { name, body, flattens } of cases) {
  if (!name.includes(wanted)) continue;
  print(name, "scan", body, compare(body, scanOnly, parseOnly));
  if (flattens) print(name, "scan+flatten", body, compare(body, scanAndFlatten, parseAndFlatten));
}
if (sink === 0) throw new Error("nothing was read");
