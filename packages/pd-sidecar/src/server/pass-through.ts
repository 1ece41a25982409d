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
      if (framing === "chunked") call.write([lastChunk]);
      call.finishRequest();
    });
  }
  await relay.ended;
}

const lineEnd = Buffer.from("\r\n");
const lastChunk = Buffer.from("0\r\n\r\n");

function framingOf({ req }: Exchange): number | "chunked" | "none" {
  const length = req.headers["content-length"];
  if (length !== undefined) return Number(length);
  if (req.httpVersionMajor === 1) return req.headers["transfer-encoding"] === undefined ? "none" : "chunked";
  return req.readableEnded || req.method === "GET" || req.method === "HEAD" ? "none" : "chunked";
}
