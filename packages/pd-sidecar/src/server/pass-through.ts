import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { trailerLines } from "@pointsman/http-proxy/http1";
import { strippedHeaders } from "../client/control-headers.ts";
import { readBody } from "../client/read-body.ts";
import type { Exchange } from "../exchange.ts";
import type { Stages } from "../stages.ts";

/** Bodies up to this are read before the decode server is called, so that they go out with the head. */
const heldBodyBytes = 64 * 1024;

/** Passes a request on to the decode server, its body as it comes. Resolves when the client has its answer. */
export async function passThrough(exchange: Exchange, stages: Stages): Promise<void> {
  const { req } = exchange;
  const framing = framingOf(exchange);
  if (typeof framing === "number" && framing <= heldBodyBytes) {
    const outcome = await readBody(req, framing);
    if (outcome.kind === "whole") await stages.decode(exchange, [outcome.body]).ended;
    return;
  }
  const relay = stages.pass(exchange, framing);
  if (framing !== "none") {
    const { call } = relay;
    relay.onRequestDrained = () => req.resume();
    req.on("data", (part: Buffer) => {
      const parts = framing === "chunked" ? [Buffer.from(`${part.length.toString(16)}\r\n`), part, lineEnd] : [part];
      if (!call.write(parts)) req.pause();
    });
    req.once("end", () => {
      if (framing === "chunked") call.write([lastChunk(req)]);
      call.finishRequest();
    });
  }
  await relay.ended;
}

const lineEnd = Buffer.from("\r\n");

/** The end of a body in chunks, with the fields behind it. */
function lastChunk({ rawTrailers }: IncomingMessage): Buffer {
  const fields = rawTrailers.flatMap((name, i) => (i % 2 === 0 ? [[name, rawTrailers[i + 1]!] as const] : []));
  return Buffer.from(`0\r\n${trailerLines(fields, strippedHeaders)}\r\n`, "latin1");
}

function framingOf({ req }: Exchange): number | "chunked" | "none" {
  const length = req.headers["content-length"];
  if (length !== undefined) return Number(length);
  if (req.httpVersionMajor === 1) return req.headers["transfer-encoding"] === undefined ? "none" : "chunked";
  // Over HTTP/2 it is one of these.
  return (req as unknown as Http2ServerRequest).stream.endAfterHeaders ? "none" : "chunked";
}
