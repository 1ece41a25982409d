import { connect, type Socket } from "node:net";

/** A response as it came over the wire. */
export interface WireResponse {
  readonly status: number;
  readonly statusLine: string;
  /** Names in lower case; repeats joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sizes of chunks in order; empty without chunked framing. */
  readonly chunks: readonly Buffer[];
  readonly body: Buffer;
  readonly trailers: readonly string[];
}

/** A client that speaks bytes, so that tests decide every one of them. */
export class RawClient {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#changed();
    });
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#changed();
    });
    socket.on("close", () => {
      this.#ended = true;
      this.#changed();
    });
  }

  static connect(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.removeListener("error", reject);
        resolve(new RawClient(socket));
      });
    });
  }

  /** Sends characters as bytes, one each. */
  write(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** What arrived and no response took. */
  get received(): string {
    return this.#received.toString("latin1");
  }

  get ended(): boolean {
    return this.#ended;
  }

  get wasReset(): boolean {
    return (this.#error as NodeJS.ErrnoException | undefined)?.code === "ECONNRESET";
  }

  async until(reached: (received: string) => boolean): Promise<string> {
    while (!reached(this.received)) {
      if (this.#ended) throw new Error(`the connection ended after: ${JSON.stringify(this.received.slice(0, 400))}`);
      await this.#change();
    }
    return this.received;
  }

  async untilEnd(): Promise<string> {
    while (!this.#ended) await this.#change();
    return this.received;
  }

  /** Takes the next response. `toHead`: it has no body whatever its headers say. */
  async response(toHead: boolean = false): Promise<WireResponse> {
    await this.until((text) => text.includes("\r\n\r\n"));
    const headEnd = this.received.indexOf("\r\n\r\n");
    const [statusLine, ...lines] = this.received.slice(0, headEnd).split("\r\n");
    this.#take(headEnd + 4);
    const headers: Record<string, string> = {};
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
    }
    const status = Number(statusLine!.split(" ")[1]);
    const base = { status, statusLine: statusLine!, headers };
    if (toHead || status === 204 || status === 304) {
      return { ...base, chunks: [], body: Buffer.alloc(0), trailers: [] };
    }
    if (headers["transfer-encoding"] === "chunked") {
      const chunks: Buffer[] = [];
      for (;;) {
        const size = Number.parseInt(await this.#takeLine(), 16);
        if (Number.isNaN(size)) throw new Error("no chunk size");
        if (size === 0) break;
        await this.until((text) => text.length >= size + 2);
        chunks.push(this.#take(size));
        if ((await this.#takeLine()) !== "") throw new Error("a chunk is longer than its size");
      }
      const trailers: string[] = [];
      for (let line = await this.#takeLine(); line !== ""; line = await this.#takeLine()) trailers.push(line);
      return { ...base, chunks, body: Buffer.concat(chunks), trailers };
    }
    if (headers["content-length"] !== undefined) {
      const length = Number(headers["content-length"]);
      await this.until((text) => text.length >= length);
      return { ...base, chunks: [], body: this.#take(length), trailers: [] };
    }
    await this.untilEnd();
    return { ...base, chunks: [], body: this.#take(this.#received.length), trailers: [] };
  }

  destroy(): void {
    this.socket.destroy();
  }

  async #takeLine(): Promise<string> {
    await this.until((text) => text.includes("\r\n"));
    const end = this.received.indexOf("\r\n");
    const line = this.received.slice(0, end);
    this.#take(end + 2);
    return line;
  }

  #take(bytes: number): Buffer {
    const taken = this.#received.subarray(0, bytes);
    this.#received = this.#received.subarray(bytes);
    return taken;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake.push(resolve);
    });
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** A POST of a JSON body, ready to send: one character for each byte. */
export function post(path: string, body: string, headers: string = ""): string {
  const bytes = Buffer.from(body, "utf8").toString("latin1");
  return `POST ${path} HTTP/1.1\r\nHost: api.test\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\n${headers}\r\n${bytes}`;
}

export const chatPath = "/v1/chat/completions";
export const chat: string = post(chatPath, '{"model":"m"}');
export const streamedChat: string = post(chatPath, '{"model":"m","stream":true}');
