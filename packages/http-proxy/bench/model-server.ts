/** Serves fake model servers on free ports and tells the parent process which. A path names the answer it wants. */
import { createServer, type Socket } from "node:net";

const servers = 4;
const event = `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" word"}}]}\n\n`;
const chunk = Buffer.from(`${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`);
const lastChunk = Buffer.from("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
const streamHead = Buffer.from(
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
);
const json = `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Today it is partially cloudy"},"finish_reason":"stop"}],"usage":{"prompt_tokens":300,"completion_tokens":5,"total_tokens":305}}`;
const jsonAnswer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`,
);
const events = 1000;
const gapMs = 2;

function serve(socket: Socket): void {
  let head = "";
  let bodyLeft = 0;
  let path = "";
  socket.setNoDelay(true);
  socket.on("error", () => {});
  socket.on("data", (bytes: Buffer) => {
    let rest = bytes;
    if (bodyLeft === 0) {
      head += rest.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end === -1) return;
      path = head.split(" ", 2)[1] ?? "";
      bodyLeft = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      rest = rest.subarray(rest.length - (head.length - end - 4));
      head = "";
    }
    bodyLeft -= rest.length;
    if (bodyLeft === 0) answer(socket, path);
  });
}

function answer(socket: Socket, path: string): void {
  if (!path.includes("stream")) {
    socket.write(jsonAnswer);
    return;
  }
  socket.write(streamHead);
  let sent = 0;
  if (path.includes("paced")) {
    const timer = setInterval(() => {
      if (++sent > events || socket.destroyed) {
        clearInterval(timer);
        socket.write(lastChunk);
      } else socket.write(chunk);
    }, gapMs);
    return;
  }
  const burst = (): void => {
    for (let i = 0; i < 20 && sent < events; i++, sent++) socket.write(chunk);
    if (sent < events) setImmediate(burst);
    else socket.write(lastChunk);
  };
  burst();
}

const ports = await Promise.all(
  Array.from({ length: servers }, () => {
    const server = createServer(serve);
    return new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
  }),
);
process.send?.(ports);
process.on("disconnect", () => process.exit(0));
