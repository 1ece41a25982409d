import type { IncomingMessage } from "node:http";

export type BodyOutcome =
  | { readonly kind: "whole"; readonly body: Buffer }
  | { readonly kind: "too-large" }
  /** The client left, or its bytes were no valid body. */
  | { readonly kind: "gone" };

/** Reads a request's body, up to `maxBytes`. Never rejects. */
export function readBody(req: IncomingMessage, maxBytes: number): Promise<BodyOutcome> {
  return new Promise((resolve) => {
    if (Number(req.headers["content-length"] ?? 0) > maxBytes) {
      resolve({ kind: "too-large" });
      return;
    }
    const parts: Buffer[] = [];
    let bytes = 0;
    req.on("data", (part: Buffer) => {
      bytes += part.length;
      if (bytes > maxBytes) {
        parts.length = 0;
        req.pause();
        resolve({ kind: "too-large" });
      } else parts.push(part);
    });
    req.once("end", () => {
      resolve({ kind: "whole", body: parts.length === 1 ? parts[0]! : Buffer.concat(parts) });
    });
    req.once("close", () => resolve({ kind: "gone" }));
    req.once("error", () => resolve({ kind: "gone" }));
  });
}
