import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type CallOptions,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type StatusObject,
} from "@grpc/grpc-js";
import { ProcessingRequestSchema, ProcessingResponseSchema } from "@pointsman/proto/ext-proc";
import { type Message, type Reply, read } from "./messages.ts";

export const processPath = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

const bytesOf = (bytes: Buffer): Buffer => bytes;

/** A connection to the picker, as a proxy keeps it. */
export function connect(port: number, options: object = {}): Client {
  return new Client(`127.0.0.1:${port}`, credentials.createInsecure(), options);
}

/** One ext_proc stream, seen by the proxy. */
export class ExtProcStream {
  /** What came so far. */
  readonly replies: Reply[] = [];
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  #status: StatusObject | undefined;
  #waiting: (() => void)[] = [];

  constructor(client: Client, options: CallOptions = {}) {
    this.#call = client.makeBidiStreamRequest(processPath, bytesOf, bytesOf, new Metadata(), options);
    this.#call.on("data", (bytes: Buffer) => {
      this.replies.push(read(fromBinary(ProcessingResponseSchema, bytes)));
      this.#wake();
    });
    this.#call.on("status", (status: StatusObject) => {
      this.#status = status;
      this.#wake();
    });
    this.#call.on("error", () => {
      // The status says it.
    });
  }

  send(...messages: readonly Message[]): this {
    for (const message of messages)
      this.raw(toBinary(ProcessingRequestSchema, create(ProcessingRequestSchema, message)));
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.#call.write(Buffer.from(bytes));
    return this;
  }

  halfClose(): this {
    this.#call.end();
    return this;
  }

  cancel(): this {
    this.#call.cancel();
    return this;
  }

  /** Waits for this many replies in all. Throws when the stream ends before. */
  async until(count: number): Promise<readonly Reply[]> {
    while (this.replies.length < count && this.#status === undefined) await this.#woken();
    if (this.replies.length < count) {
      const { code, details } = this.#status!;
      throw new Error(`the stream ended with ${code} "${details}" after ${this.replies.length} of ${count} replies`);
    }
    return this.replies;
  }

  /** Waits for the end. */
  async end(): Promise<{ readonly code: number; readonly details: string }> {
    while (this.#status === undefined) await this.#woken();
    return { code: this.#status.code, details: this.#status.details };
  }

  /** Everything up to the end of the stream, which must be OK; `halfClose` first where the picker does not end it. */
  async all(): Promise<readonly Reply[]> {
    const { code, details } = await this.end();
    if (code !== 0) throw new Error(`the stream ended with ${code} "${details}"`);
    return this.replies;
  }

  #wake(): void {
    for (const run of this.#waiting.splice(0)) run();
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
