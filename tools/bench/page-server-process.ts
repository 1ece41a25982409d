/**
 * Serves vLLM metrics pages of 32 KB on as many ports as it is told, and counts them. Each poll of a port gets another
 * page of a small set, so that values move. `node page-server-process.ts <ports>`, as a child with a message channel.
 */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { vllmPage } from "../../packages/core/bench/prometheus-vllm-page.ts";

const pageVariants = 8;
const endOfHead = "\r\n\r\n";
const maxHeadBytes = 64 * 1024;

const responses = Array.from({ length: pageVariants }, (_, seed) => {
  const page = vllmPage({ seed, engines: 1 }).bytes;
  const head = `HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: ${page.length}\r\n\r\n`;
  return { bytes: Buffer.concat([Buffer.from(head), page]), pageBytes: page.length };
});
let served = 0;

const ports: number[] = [];
for (let slot = 0; slot < Number(process.argv[2]); slot++) {
  let turn = slot;
  // Sockets instead of an HTTP server: most of the machine is left to what is measured.
  const server = createServer({ noDelay: true }, (socket) => {
    let head = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) => {
      head += bytes.toString("latin1");
      for (;;) {
        const end = head.indexOf(endOfHead);
        if (end === -1) break;
        head = head.slice(end + endOfHead.length);
        socket.write(responses[turn++ % pageVariants]!.bytes);
        served++;
      }
      if (head.length > maxHeadBytes) socket.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // Listening on TCP: the address is no path.
  ports.push((server.address() as AddressInfo).port);
}
process.on("message", () => process.send?.(served));
process.on("disconnect", () => process.exit());
process.send?.({ ports, pageBytes: responses[0]!.pageBytes });
