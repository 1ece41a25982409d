/**
 * Opens ext_proc streams of streaming requests, as far as the first chunk of the answer, and holds them open:
 * `node held-streams-process.ts <port> <streams> <prompt bytes>`, as a child with a message channel.
 *
 * Messages to the parent: `HeldStreams` once all are open or have failed, and again after each message "state".
 */
import { Client, type ClientDuplexStream, credentials, Metadata } from "@grpc/grpc-js";
import { replyKind, requestBody, requestHeaders, responseBody, responseHeaders } from "./ext-proc-messages.ts";
import type { HeldStreams } from "./held-streams.ts";

const streamsPerConnection = 100;
const opening = 32;
const openTimeoutMs = 60_000;
const method = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
const [port, streams, promptBytes] = process.argv.slice(2).map(Number);

const clients = Array.from(
  { length: Math.ceil(streams! / streamsPerConnection) },
  () => new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 }),
);
const answerHead = responseHeaders({ ":status": "200", "content-type": "text/event-stream", server: "uvicorn" });
const chunk = responseBody(
  Buffer.from(
    'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" word"}}]}\n\n',
  ),
);

let open = 0;
let failed = 0;
let ended = 0;
let firstProblem = "";

/** A prompt of its own for each stream: most of it is one of 50 beginnings, as in the load client's prompts. */
function prompt(index: number): Buffer {
  const text = (seed: number, bytes: number): string => `word${seed} and more of it `.repeat(bytes).slice(0, bytes);
  const shared = Math.floor(promptBytes! * 0.95);
  return Buffer.from(
    JSON.stringify({
      model: "Qwen/Qwen3-8B",
      stream: true,
      messages: [
        { role: "system", content: text(index % 50, shared) },
        { role: "user", content: text(1000 + index, promptBytes! - shared) },
      ],
    }),
  );
}

function openStream(index: number): Promise<void> {
  return new Promise((resolve) => {
    const call: ClientDuplexStream<Buffer, Buffer> = clients[index % clients.length]!.makeBidiStreamRequest(
      method,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      new Metadata(),
    );
    const body = prompt(index);
    let returnedBytes = 0;
    let isOpen = false;
    const fail = (problem: string): void => {
      clearTimeout(timer);
      if (firstProblem === "") firstProblem = problem;
      if (isOpen) {
        open--;
        ended++;
        isOpen = false;
        return;
      }
      failed++;
      call.cancel();
      resolve();
    };
    const timer = setTimeout(() => fail(`stream ${index} did not open in ${openTimeoutMs} ms`), openTimeoutMs);
    call.on("data", (bytes: Buffer) => {
      const kind = replyKind(bytes);
      if (kind === "immediate") fail(`stream ${index} was refused: ${bytes.toString("latin1").slice(0, 200)}`);
      else if (kind === "request-body") {
        const before = returnedBytes;
        returnedBytes += bytes.length;
        if (before >= body.length || returnedBytes < body.length) return;
        // The body has come back whole: the request is decided, and the model server answers.
        call.write(answerHead);
        call.write(chunk);
      } else if (kind === "response-body") {
        clearTimeout(timer);
        isOpen = true;
        open++;
        resolve();
      }
    });
    call.on("error", () => {});
    call.on("status", (status: { readonly code: number; readonly details: string }) =>
      fail(`stream ${index} ended with status ${status.code} ${status.details}`),
    );
    call.write(
      requestHeaders({
        ...{ ":method": "POST", ":scheme": "http", ":path": "/v1/chat/completions", ":authority": "llm.example.com" },
        ...{ "content-type": "application/json", "content-length": String(body.length), accept: "text/event-stream" },
        "x-request-id": `held-${index}`,
      }),
    );
    call.write(requestBody(body));
  });
}

const state = (): HeldStreams => ({ open, failed, ended, firstProblem });

let next = 0;
await Promise.all(
  Array.from({ length: opening }, async () => {
    while (next < streams!) await openStream(next++);
  }),
);
process.on("message", () => process.send?.(state()));
process.on("disconnect", () => process.exit());
process.send?.(state());
