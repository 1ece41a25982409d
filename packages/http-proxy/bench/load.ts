/** Sends requests over kept connections for a while: `node bench/load.ts <port> <path> <body bytes> <connections> <ms>` */
import { connect } from "node:net";

const [port, path, bodyBytes, connections, durationMs] = process.argv.slice(2);
const prefix = '{"model":"m","messages":[{"role":"user","content":"';
const suffix = '"}]}';
const body = `${prefix}${"lorem ipsum ".repeat(Number(bodyBytes) / 12)}${suffix}`;
const request = Buffer.from(
  `POST ${path} HTTP/1.1\r\nHost: api.test\r\nUser-Agent: load\r\nAccept: */*\r\nAuthorization: Bearer 0123456789abcdef\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
);
const endOfStream = "0\r\n\r\n";
let done = 0;
let failed = 0;
const endMs = performance.now() + Number(durationMs);

function run(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: Number(port), noDelay: true });
    let head = "";
    let left: number | undefined;
    let tail = "";
    const next = (): void => {
      if (performance.now() >= endMs) {
        socket.destroy();
        resolve();
        return;
      }
      head = "";
      left = undefined;
      tail = "";
      socket.write(request);
    };
    socket.on("error", () => {
      failed++;
      resolve();
    });
    socket.on("data", (bytes: Buffer) => {
      let rest = bytes;
      if (left === undefined) {
        head += rest.toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end === -1) return;
        if (!head.startsWith("HTTP/1.1 200 ")) throw new Error(head);
        const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
        left = length === undefined ? Number.POSITIVE_INFINITY : Number(length);
        rest = rest.subarray(rest.length - (head.length - end - 4));
      }
      left -= rest.length;
      if (left === Number.POSITIVE_INFINITY) {
        tail = (tail + rest.toString("latin1", Math.max(0, rest.length - 5))).slice(-5);
        if (tail !== endOfStream) return;
      } else if (left > 0) return;
      done++;
      next();
    });
    next();
  });
}

await Promise.all(Array.from({ length: Number(connections) }, run));
process.send?.({ done, failed });
process.disconnect?.();
