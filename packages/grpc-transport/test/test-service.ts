import { type RpcHandler, type RpcMethod, type RpcStream, rpcStatus } from "../src/index.ts";

/** Answers each message with itself, and the end of the request with OK. */
export const echoPath = "/test.Service/Echo";
/** Ends with the code and text that the message gives as `code text`. */
export const statusPath = "/test.Service/Status";
/** Answers a message `n` with n bytes, at most 10 million; ends with INVALID_ARGUMENT when it is no number. */
export const sizePath = "/test.Service/Size";
/** Takes messages and never answers nor ends. */
export const silentPath = "/test.Service/Silent";
/** Throws at the first message. */
export const throwPath = "/test.Service/Throw";

/** What a service saw, for tests to look at. */
export class TestService {
  open = 0;
  cancelled = 0;
  halfClosed = 0;
  messages = 0;
  messageBytes = 0;
  #waiting: (() => void)[] = [];

  readonly methods: ReadonlyMap<string, RpcMethod> = new Map([
    [echoPath, this.#method((stream, bytes) => stream.send([bytes]))],
    [
      statusPath,
      this.#method((stream, bytes) => {
        const [code, ...text] = Buffer.from(bytes).toString().split(" ");
        this.open--;
        stream.end({ code: Number(code), message: text.join(" ") });
      }),
    ],
    [
      sizePath,
      this.#method((stream, bytes) => {
        const size = Number(Buffer.from(bytes).toString());
        if (size >= 0 && size <= 10_000_000) stream.send([Buffer.alloc(size, "x")]);
        else {
          this.open--;
          stream.end({ code: rpcStatus.invalidArgument, message: "no size" });
        }
      }),
    ],
    [silentPath, this.#method(() => {}, false)],
    [
      throwPath,
      this.#method(() => {
        throw new Error("a bug in the handler");
      }),
    ],
  ]);

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #method(onMessage: (stream: RpcStream, bytes: Uint8Array) => void, endsOnHalfClose = true): RpcMethod {
    return (stream): RpcHandler => {
      this.open++;
      return {
        message: (bytes) => {
          this.messages++;
          this.messageBytes += bytes.length;
          this.#changed();
          onMessage(stream, bytes);
        },
        halfClose: () => {
          this.halfClosed++;
          if (endsOnHalfClose) {
            this.open--;
            stream.end();
          }
          this.#changed();
        },
        cancelled: () => {
          this.cancelled++;
          this.open--;
          this.#changed();
        },
      };
    };
  }

  #changed(): void {
    for (const run of this.#waiting.splice(0)) run();
  }
}
