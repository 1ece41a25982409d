/**
 * Fetches the same pages as the picker at the same interval and looks at nothing in them but where they end: what it
 * costs to move the bytes through Node's sockets. `node plain-scraper-process.ts <interval ms> <port>...`
 */
import { connect } from "node:net";

const [intervalMs, ...ports] = process.argv.slice(2).map(Number);
const request = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept-Encoding: identity\r\n\r\n";

function poll(port: number, delayMs: number): void {
  let leftBytes = 0;
  let waiting = false;
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  socket.on("error", (error) => {
    throw error;
  });
  socket.on("data", (bytes) => {
    if (leftBytes > 0) {
      leftBytes -= bytes.length;
      return;
    }
    // The servers write head and page at once, so the first bytes hold the whole head.
    const bodyAt = bytes.indexOf("\r\n\r\n") + 4;
    const length = /\r\ncontent-length: (\d+)/i.exec(bytes.toString("latin1", 0, bodyAt))?.[1];
    leftBytes = Number(length) - (bytes.length - bodyAt);
    waiting = false;
  });
  const tick = (): void => {
    // As any scraper does, it leaves out a turn while an answer is outstanding.
    if (waiting || leftBytes > 0) return;
    waiting = true;
    socket.write(request);
  };
  setTimeout(() => setInterval(tick, intervalMs), delayMs);
}

ports.forEach((port, i) => {
  poll(port, (i * intervalMs!) / ports.length);
});
process.on("disconnect", () => process.exit());
process.send?.("started");
