/**
 * A model server for measuring proxies: answers a POST at once with JSON, or, when the body asks for a stream, with 1000
 * events, of which every open stream gets one a millisecond. `node model-server-process.ts`, as a child with a message
 * channel, to which it sends its port.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

const chunks = 1000;
const json = JSON.stringify({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "word ".repeat(60) }, finish_reason: "stop" }],
  usage: { prompt_tokens: 900, completion_tokens: 60, total_tokens: 960, prompt_tokens_details: { cached_tokens: 0 } },
  kv_transfer_params: {
    do_remote_prefill: true,
    do_remote_decode: false,
    remote_engine_id: "engine",
    remote_block_ids: Array.from({ length: 57 }, (_, i) => i),
    remote_host: "127.0.0.1",
    remote_port: 1,
  },
});
const jsonAnswer = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${json.length}\r\n\r\n${json}`,
);
const streamHead =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
const event = `data: ${JSON.stringify({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1,
  model: "m",
  choices: [{ index: 0, delta: { content: "word " }, logprobs: null, finish_reason: null }],
})}\n\n`;
const chunk = Buffer.from(`${event.length.toString(16)}\r\n${event}\r\n`);
const lastChunk = Buffer.from("0\r\n\r\n");
const streams = new Map<Socket, number>();

setInterval(() => {
  for (const [socket, sent] of streams) {
    socket.write(chunk);
    if (sent + 1 < chunks) streams.set(socket, sent + 1);
    else {
      streams.delete(socket);
      socket.write(lastChunk);
    }
  }
}, 1);

const server = createServer({ noDelay: true }, (socket) => {
  let held = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => streams.delete(socket));
  socket.on("data", (bytes) => {
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    for (;;) {
      const headEnd = held.indexOf("\r\n\r\n");
      if (headEnd === -1) return;
      const length = Number(/\r\ncontent-length: *([0-9]+)/i.exec(held.toString("latin1", 0, headEnd + 2))?.[1] ?? 0);
      const end = headEnd + 4 + length;
      if (held.length < end) return;
      if (held.subarray(headEnd + 4, end).includes('"stream":true')) {
        socket.write(streamHead);
        streams.set(socket, 0);
      } else socket.write(jsonAnswer);
      held = held.subarray(end);
    }
  });
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
process.on("disconnect", () => process.exit());
// Listening on TCP: the address is no path.
process.send?.({ port: (server.address() as AddressInfo).port });
