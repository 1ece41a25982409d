import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { Agent, type buildConnector } from "undici";

/** An answer's status, and its body up to the limit. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

export interface PostOptions {
  readonly timeoutMs: number;
  /** A longer answer is an error. */
  readonly maxAnswerBytes: number;
}

/** A server that is gone without a word is asked anew after this long. */
const connectTimeoutMs = 1000;

/** Starts a timer; that of a plugin host. */
export type StartTimer = (delayMs: number, run: () => void) => { stop(): void };

/**
 * Posts JSON over kept connections, with a limit on the time and the size of each answer. Redirects are not followed.
 * Rejects with an error that says what went wrong.
 */
export class BoundedHttp {
  readonly #agent: Agent;
  readonly #startTimer: StartTimer;

  /** `connections` is at most that many for each origin. */
  constructor(connections: number, startTimer: StartTimer) {
    this.#agent = new Agent({
      connections,
      pipelining: 1,
      connect: connectorWith(startTimer),
      keepAliveTimeout: 4000,
      maxHeaderSize: 16_384,
      // The timer below bounds the whole exchange.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.#startTimer = startTimer;
  }

  async post(url: URL, path: string, json: string, { timeoutMs, maxAnswerBytes }: PostOptions): Promise<HttpAnswer> {
    const abort = new AbortController();
    const timer = this.#startTimer(timeoutMs, () => abort.abort(new Error(`no answer within ${timeoutMs} ms`)));
    try {
      const { statusCode, body } = await this.#agent.request({
        origin: url.origin,
        path: `${url.pathname.replace(/\/+$/, "")}${path}`,
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: json,
        signal: abort.signal,
      });
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        bytes += chunk.length;
        if (bytes > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`);
        chunks.push(chunk);
      }
      return { status: statusCode, body: Buffer.concat(chunks) };
    } finally {
      timer.stop();
    }
  }

  /** Ends all exchanges and connections. */
  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

/** Opens connections within a time that the given timers measure; undici's own would outlive the plugin. */
function connectorWith(startTimer: StartTimer): buildConnector.connector {
  return ({ protocol, hostname, port, servername }, callback) => {
    const secure = protocol === "https:";
    const address = { host: hostname, port: Number(port || (secure ? 443 : 80)) };
    const socket = secure
      ? connectTls({ ...address, ...(servername ? { servername } : {}), ALPNProtocols: ["http/1.1"] })
      : connectTcp(address);
    socket.setNoDelay(true);
    const timer = startTimer(connectTimeoutMs, () => {
      socket.destroy(new Error(`no connection within ${connectTimeoutMs} ms`));
    });
    const failed = (error: Error): void => {
      timer.stop();
      callback(error, null);
    };
    socket.once("error", failed);
    socket.once(secure ? "secureConnect" : "connect", () => {
      timer.stop();
      socket.off("error", failed);
      callback(null, socket);
    });
  };
}
