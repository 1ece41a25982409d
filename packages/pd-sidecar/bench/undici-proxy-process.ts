/**
 * The reverse proxy that one writes with undici: node:http in front, a pool behind, the answer piped.
 * `node undici-proxy-process.ts <port of the server>`, as a child with a message channel, to which it sends its port.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Pool } from "undici";

const pool = new Pool(`http://127.0.0.1:${process.argv[2]}`, { connections: 256, headersTimeout: 0, bodyTimeout: 0 });
const server = createServer((req, res) => {
  const { host: _host, connection: _connection, "transfer-encoding": _coding, ...headers } = req.headers;
  pool
    .stream(
      { path: req.url ?? "/", method: (req.method ?? "GET") as "POST", headers, body: req, opaque: res },
      ({ statusCode, headers: answer }) => {
        const { connection: _c, "transfer-encoding": _t, "keep-alive": _k, ...kept } = answer;
        res.writeHead(statusCode, kept);
        return res;
      },
    )
    .catch(() => res.destroy());
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
process.on("disconnect", () => process.exit());
// Listening on TCP: the address is no path.
process.send?.({ port: (server.address() as AddressInfo).port });
