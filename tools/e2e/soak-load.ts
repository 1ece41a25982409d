import { request } from "node:http";
import {
  dataBytes,
  frameBytes,
  grpcMessage,
  headersBytes,
  number32,
  RawHttp2Client,
  requestBlock,
  settingsBytes,
} from "../../packages/grpc-transport/test/raw-http2-client.ts";
import { replyKind, requestBody, requestHeaders } from "../bench/ext-proc-messages.ts";
import type { FuzzRandom } from "../fuzz/fuzz-random.ts";
import { frameSequence } from "../fuzz/inputs/http2-frames.ts";
import { mutate } from "../fuzz/mutate.ts";
import { post, type Stack } from "./stack.ts";

const model = "Qwen/Qwen3-8B";
const method = requestBlock("/envoy.service.ext_proc.v3.ExternalProcessor/Process");
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const cancelCode = 8;
const burst = 5000;
/** Different prompts: what is kept of prompts is kept of these early on. */
const prompts = 200;
/** With `--max-request-body-size` of this, a body twice as long is refused. */
export const maxBodyBytes: number = 1_048_576;

/** One way to use, or misuse, the stack; it is called again and again. Rejects when the stack fails it. */
export interface SoakActor {
  readonly name: string;
  /** How many do it side by side. */
  readonly count: number;
  run(stack: Stack, random: FuzzRandom): Promise<void>;
}

const pause = (timeMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, timeMs));

function chat(random: FuzzRandom, maxTokens: number): string {
  const question = `question ${random.below(prompts)} `.repeat(30);
  return JSON.stringify({
    model,
    stream: true,
    max_tokens: maxTokens,
    messages: [{ role: "user", content: question }],
  });
}

function expectDone(status: number, text: string): void {
  if (status !== 200 || !text.endsWith("data: [DONE]\n\n")) throw new Error(`status ${status}, ${text.slice(-300)}`);
}

function ask(stack: Stack, body: string, signal?: AbortSignal): Promise<Response> {
  return fetch(`${stack.envoyUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    signal: signal ?? AbortSignal.timeout(60_000),
  });
}

/** What opens an ext_proc stream: headers, and the body where it is wanted. */
function opening(id: number, withBody: boolean, number: number): Buffer {
  const fields = { ":method": "POST", ":path": "/v1/completions", "content-type": "application/json" };
  const body = JSON.stringify({ model, prompt: `prompt ${number % prompts}` });
  return Buffer.concat([
    headersBytes(id, method),
    dataBytes(id, grpcMessage(requestHeaders(fields))),
    withBody ? dataBytes(id, grpcMessage(requestBody(Buffer.from(body)))) : Buffer.alloc(0),
  ]);
}

const reset = (id: number): Buffer => frameBytes(3, 0, id, number32(cancelCode));

/** Waits until a stream's request was answered with a destination. */
async function decided(client: RawHttp2Client, id: number): Promise<void> {
  await client.until("decision", () => {
    const bytes = client.data(id);
    for (let at = 0; at + 5 <= bytes.length; ) {
      const end = at + 5 + bytes.readUInt32BE(at + 1);
      if (end <= bytes.length && replyKind(bytes.subarray(at + 5, end)) === "request-body") return true;
      at = end;
    }
    return false;
  });
}

async function onConnection(stack: Stack, use: (client: RawHttp2Client) => Promise<void>): Promise<void> {
  // Replies are taken, however many there are.
  const greeting = Buffer.concat([preface, settingsBytes({}), frameBytes(8, 0, 0, number32(1_000_000_000))]);
  const client = await RawHttp2Client.open(stack.ports.extProc, { greeting });
  try {
    await use(client);
  } finally {
    client.close();
  }
}

/** 5,000 streams that are reset, and one beside them that must be served. */
async function resetBurst(stack: Stack, random: FuzzRandom): Promise<void> {
  await onConnection(stack, async (client) => {
    client.send(headersBytes(1, method));
    const ids = Array.from({ length: burst }, (_, at) => at * 2 + 3);
    const withBody = random.oneIn(3);
    const rapid = random.oneIn(2);
    const open = ids.map((id) => opening(id, withBody, id));
    if (rapid) client.send(...open.flatMap((bytes, at) => [bytes, reset(ids[at]!)]));
    else {
      client.send(...open);
      await pause(random.below(200));
      client.send(...ids.map(reset));
    }
    client.send(opening(1, true, 1).subarray(headersBytes(1, method).length));
    await decided(client, 1);
    client.send(dataBytes(1, Buffer.alloc(0), true));
    const { "grpc-status": status } = await client.trailers(1);
    if (status !== "0") throw new Error(`the stream beside 5,000 resets ended with ${status}`);
  });
  await pause(1000 + random.below(2000));
}

/** A stream that takes its answer in small windows, or not at all. */
async function slowRawReader(stack: Stack, random: FuzzRandom): Promise<void> {
  const greeting = Buffer.concat([preface, settingsBytes({ 4: random.pick([0, 1, 500]) })]);
  const client = await RawHttp2Client.open(stack.ports.extProc, { greeting });
  try {
    for (let id = 1; id < 40; id += 2) client.send(opening(id, true, id));
    for (let step = 0; step < 10; step++) {
      await pause(100);
      client.send(frameBytes(8, 0, 1, number32(1)));
    }
    if (random.oneIn(2)) client.send(...Array.from({ length: 20 }, (_, at) => reset(at * 2 + 1)));
  } finally {
    client.close();
  }
}

async function slowRawWriter(stack: Stack, random: FuzzRandom): Promise<void> {
  await onConnection(stack, async (client) => {
    const bytes = opening(1, true, random.below(prompts));
    for (let at = 0; at < bytes.length; at += 7) {
      client.send(bytes.subarray(at, at + 7));
      await pause(20);
    }
    await decided(client, 1);
  });
}

async function slowHttpWriter(stack: Stack, random: FuzzRandom): Promise<void> {
  const body = Buffer.from(chat(random, 4));
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = request(
      `${stack.envoyUrl}/v1/chat/completions`,
      { method: "POST", headers: { "content-type": "application/json", "content-length": body.length }, agent: false },
      (response) => {
        let text = "";
        response.on("data", (part: Buffer) => {
          text += part.toString();
        });
        response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
        response.once("error", reject);
      },
    );
    sent.once("error", reject);
    void (async () => {
      const step = Math.ceil(body.length / 20);
      for (let at = 0; at < body.length; at += step) {
        sent.write(body.subarray(at, at + step));
        await pause(50);
      }
      sent.end();
    })();
  });
  expectDone(status, text);
}

async function slowHttpReader(stack: Stack, random: FuzzRandom): Promise<void> {
  const response = await ask(stack, chat(random, 60));
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of response.body!) {
    text += decoder.decode(part, { stream: true });
    await pause(random.below(100));
  }
  expectDone(response.status, text);
}

async function cancel(stack: Stack, random: FuzzRandom): Promise<void> {
  const left = new AbortController();
  const timer = setTimeout(() => left.abort(), random.below(400));
  try {
    await (await ask(stack, chat(random, 100), left.signal)).text();
  } catch (thrown: unknown) {
    if (!left.signal.aborted) throw thrown;
  } finally {
    clearTimeout(timer);
  }
}

async function oversize(stack: Stack, random: FuzzRandom): Promise<void> {
  const { status, text } = await post(stack.envoyUrl, "/v1/completions", {
    model,
    prompt: "x".repeat(maxBodyBytes * 2),
  });
  if (status !== 413) throw new Error(`a body of twice the limit: ${status} ${text.slice(0, 200)}`);
  await onConnection(stack, async (client) => {
    client.send(headersBytes(1, method), dataBytes(1, Buffer.concat([Buffer.of(0), number32(0x7fffffff)])));
    const { "grpc-status": code } = await client.trailers(1);
    if (code !== "8") throw new Error(`a message of 2 GB: ended with ${code}`);
  });
  await pause(500 + random.below(1000));
}

/** Bytes that are HTTP/2 at first, and then less so. */
async function hostile(stack: Stack, random: FuzzRandom): Promise<void> {
  const client = await RawHttp2Client.open(stack.ports.extProc, { greeting: Buffer.alloc(0) });
  const good = Buffer.concat([preface, frameSequence(random)]);
  client.send(random.oneIn(3) ? good : mutate(good, good, random, 100_000));
  await pause(random.below(100));
  client.close();
}

async function churn(stack: Stack, random: FuzzRandom): Promise<void> {
  const kept = stack.servers.filter(() => random.oneIn(2));
  stack.writeEndpoints(kept.length < 2 ? stack.servers.slice(0, 2) : kept);
  await pause(1000);
}

export const soakActors: readonly SoakActor[] = [
  {
    name: "honest",
    count: 4,
    async run(stack, random) {
      const response = await ask(stack, chat(random, 10));
      expectDone(response.status, await response.text());
    },
  },
  { name: "reset burst", count: 1, run: resetBurst },
  { name: "slow reader", count: 4, run: slowHttpReader },
  { name: "slow reader of ext_proc", count: 1, run: slowRawReader },
  { name: "slow writer", count: 2, run: slowHttpWriter },
  { name: "slow writer of ext_proc", count: 2, run: slowRawWriter },
  { name: "cancel", count: 4, run: cancel },
  { name: "oversize", count: 1, run: oversize },
  { name: "hostile", count: 2, run: hostile },
  { name: "churn", count: 1, run: churn },
];
