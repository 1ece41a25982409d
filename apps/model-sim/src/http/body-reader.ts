import type { IncomingMessage } from "node:http";
import { ApiError, ClientGone } from "./api-error.ts";

/** A body over the limit is still taken off the connection up to this many times the limit, so its sender sees the answer. */
const discardedLimits = 4;

/** Reads request bodies into memory, each and all together up to a limit. */
export class BodyReader {
  readonly #maxBytes: number;
  readonly #maxTotalBytes: number;
  #heldBytes = 0;

  constructor(maxBytes: number, maxTotalBytes: number) {
    this.#maxBytes = maxBytes;
    this.#maxTotalBytes = maxTotalBytes;
  }

  /** Rejects with `ApiError` (413, 415, 503), or with `ClientGone` when the body ends early. */
  read(request: IncomingMessage): Promise<Buffer> {
    const encoding = request.headers["content-encoding"];
    const declaredBytes = Number(request.headers["content-length"] ?? 0);
    const maxBytes = this.#maxBytes;
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let receivedBytes = 0;
      let keptBytes = 0;
      let refused = false;
      const letGo = () => {
        this.#heldBytes -= keptBytes;
        keptBytes = 0;
        chunks.length = 0;
      };
      const refuse = (error: ApiError) => {
        refused = true;
        letGo();
        reject(error);
      };
      request.on("data", (chunk: Buffer) => {
        receivedBytes += chunk.length;
        if (refused) {
          if (receivedBytes > maxBytes * discardedLimits) request.destroy();
        } else if (receivedBytes > maxBytes) {
          refuse(tooLarge(maxBytes));
        } else if (this.#heldBytes + chunk.length > this.#maxTotalBytes) {
          refuse(new ApiError(503, "The server holds too many request bodies; try again later."));
        } else {
          this.#heldBytes += chunk.length;
          keptBytes += chunk.length;
          chunks.push(chunk);
        }
      });
      request.on("end", () => {
        const body = Buffer.concat(chunks);
        letGo();
        resolve(body);
      });
      request.on("error", () => reject(new ClientGone()));
      request.on("close", () => {
        letGo();
        reject(new ClientGone());
      });
      if (declaredBytes > maxBytes) refuse(tooLarge(maxBytes));
      else if (encoding !== undefined && encoding !== "identity") {
        refuse(
          new ApiError(415, `Content-Encoding ${JSON.stringify(encoding)} is not supported; send the body as it is.`),
        );
      }
    });
  }
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(413, `The request body is larger than ${maxBytes} bytes. The limit is set by --max-body-bytes.`);
}
