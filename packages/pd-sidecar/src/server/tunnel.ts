import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { ClientRequest } from "../client/client-request.ts";
import type { Target } from "../upstream/target.ts";
import type { UpstreamTls } from "../upstream/upstream-limits.ts";

/** Joins a client that asks for another protocol with the decode server, bytes both ways. Returns the way to cut it. */
export function tunnel(
  req: IncomingMessage,
  client: Duplex,
  firstBytes: Buffer,
  target: Target,
  tls: UpstreamTls | undefined,
): { cut(): void } {
  const { host, port } = target;
  const server =
    tls === undefined
      ? connect({ host, port, noDelay: true })
      : connectTls({ host, port, rejectUnauthorized: !tls.skipVerify, ALPNProtocols: ["http/1.1"] });
  const cut = (): void => {
    client.destroy();
    server.destroy();
  };
  client.on("error", cut);
  client.on("close", cut);
  server.on("close", cut);
  server.on("error", () => {
    if (server.bytesRead === 0 && client.writable) {
      client.end("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    } else cut();
  });
  const upgrade = String(req.headers.upgrade).replace(/[^\x20-\x7e]/g, "");
  const head = new ClientRequest(req).head(target.hostPort, {
    set: new Map([
      ["connection", "Upgrade"],
      ["upgrade", upgrade],
    ]),
    framing: "none",
  });
  server.write(head, "latin1");
  if (firstBytes.length > 0) server.write(firstBytes);
  client.pipe(server);
  server.pipe(client);
  return { cut };
}
