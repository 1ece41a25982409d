// Child process of the bench: serves one metrics page on as many ports as it is told, and says which.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { vllmPage } from "../../core/bench/prometheus-vllm-page.ts";

const servers = Number(process.argv[2]);
const page = vllmPage({ seed: 1, engines: 1 }).bytes;
const packed = gzipSync(page);
const head = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };

const ports: number[] = [];
for (let i = 0; i < servers; i++) {
  const server = createServer((request, response) => {
    const gzip = request.headers["accept-encoding"] === "gzip";
    const body = gzip ? packed : page;
    response.writeHead(200, {
      ...head,
      "content-length": body.length,
      ...(gzip ? { "content-encoding": "gzip" } : {}),
    });
    response.end(body);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ports.push((server.address() as AddressInfo).port);
}
process.send?.({ ports, pageBytes: page.length });
process.on("disconnect", () => process.exit());
