import type { LookupAddress } from "node:dns";
import { connect, isIP, type LookupFunction, type Socket } from "node:net";
import { createSecureContext, type SecureContext, connect as tlsConnect } from "node:tls";
import { errorText, hostPort, type PollTarget, type PollTls } from "@pointsman/core";
import type { NameLookup } from "./name-lookup.ts";
import type { PageBuffers } from "./page-buffers.ts";
import { PageResponse } from "./page-response.ts";
import { failureOf, PollFailure, printable } from "./poll-failure.ts";

/** What all connections of one source have in common. */
export interface PageClientOptions {
  readonly maxBodyBytes: number;
  readonly askForGzip: boolean;
  readonly tls: ClientTls | undefined;
  readonly buffers: PageBuffers;
  readonly names: NameLookup;
}

/** TLS settings in the form that connections use: certificates are parsed once. */
export interface ClientTls {
  readonly secureContext: SecureContext;
  readonly rejectUnauthorized: boolean;
}

/** Prepares TLS settings. Throws when a certificate or key cannot be used. */
export function clientTls(tls: PollTls | undefined): ClientTls {
  const { insecureSkipVerify = false, ca, cert, key } = tls ?? {};
  return {
    secureContext: createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      minVersion: "TLSv1.2",
    }),
    rejectUnauthorized: !insecureSkipVerify,
  };
}

/** The address of a page as people write it. */
export function targetUrl(target: PollTarget): string {
  return `${target.scheme}://${hostPort(target.host, target.port)}${target.path}`;
}

/**
 * One buffer that all connections in plain text read into. Node would make one of 64 KiB for each read, which costs more
 * than the read and, by its size, makes the garbage collector run.
 */
const sharedReads: Buffer = Buffer.allocUnsafeSlow(65_536);

const plainPath = /^\/[\x21-\x7e]*$/;

/**
 * Fetches one page again and again over one kept-alive connection.
 *
 * Follows no redirects, uses no proxy, sends no credentials but a client certificate. At most one fetch at a time. It
 * stands in the place of a general HTTP client because a picker makes thousands of these fetches a second: a poll of
 * 32 KB, extraction included, takes some 110 us of CPU time, and took 190 us with undici.
 */
export class PageClient {
  readonly target: PollTarget;
  readonly #options: PageClientOptions;
  readonly #request: Buffer;
  readonly #response: PageResponse;
  #socket: Socket | undefined;
  /** The connection has answered before: the server may have closed it while the request was on its way. */
  #isReused = false;
  /** The host's name is being looked up for this client. */
  #asking = false;
  /** Takes the addresses for the connection that waits for them. */
  #takeAddresses: Parameters<LookupFunction>[2] | undefined;
  /** What the host's name stood for when it was looked up last. */
  #addresses: LookupAddress[] | undefined;
  #done: ((outcome: Uint8Array | PollFailure) => void) | undefined;

  constructor(target: PollTarget, options: PageClientOptions) {
    this.target = target;
    this.#options = options;
    const lines = [
      `GET ${target.path} HTTP/1.1`,
      `host: ${hostPort(target.host, target.port)}`,
      "user-agent: pointsman",
      `accept-encoding: ${options.askForGzip ? "gzip" : "identity"}`,
      "",
      "",
    ];
    this.#request = Buffer.from(lines.join("\r\n"), "latin1");
    this.#response = new PageResponse(options.maxBodyBytes, options.buffers);
  }

  /**
   * Calls `done` once with the page or what went wrong, unless `abort` comes first. May call it before it returns. The
   * page is valid during the call.
   */
  fetch(done: (outcome: Uint8Array | PollFailure) => void): void {
    this.#done = done;
    this.#isReused = this.#socket !== undefined;
    this.#send();
  }

  /** Whether the head of the answer to the fetch at hand has arrived. */
  get answered(): boolean {
    return this.#done !== undefined && this.#response.answered;
  }

  /** Whether the fetch at hand waits for the address of the host's name. */
  get lookingUp(): boolean {
    return this.#done !== undefined && this.#takeAddresses !== undefined;
  }

  /** Closes the connection; a fetch at hand ends without a call of `done`. The next fetch connects anew. */
  abort(): Promise<void> {
    this.#done = undefined;
    const socket = this.#socket;
    this.#drop();
    if (socket === undefined || socket.closed) return Promise.resolve();
    return new Promise((resolve) => socket.once("close", () => resolve()));
  }

  #send(): void {
    this.#response.begin();
    try {
      this.#socket ??= this.#connect();
    } catch (thrown) {
      this.#finish(new PollFailure("local", printable(errorText(thrown))));
      return;
    }
    this.#socket.write(this.#request);
  }

  /** Throws for a target that is no address. */
  #connect(): Socket {
    const { scheme, host, port, path } = this.target;
    const { tls } = this.#options;
    if (!URL.canParse(`${scheme}://${hostPort(host, port)}`)) throw new Error(`invalid URL ${targetUrl(this.target)}`);
    if (!plainPath.test(path)) throw new Error(`invalid request path ${JSON.stringify(path)}`);
    // The connection asks for all addresses of a name then.
    const address = { host, port, autoSelectFamily: true, lookup: this.#lookup };
    if (scheme === "https") {
      const servername = isIP(host) === 0 ? { servername: host } : {};
      const socket = tlsConnect({ ...address, ALPNProtocols: ["http/1.1"], ...servername, ...(tls ?? {}) });
      socket.on("data", (chunk) => this.#read(socket, chunk, chunk.length));
      return this.#watch(socket);
    }
    const socket: Socket = connect({
      ...address,
      noDelay: true,
      onread: {
        buffer: sharedReads,
        callback: (count) => {
          this.#read(socket, sharedReads, count);
          return true;
        },
      },
    });
    return this.#watch(socket);
  }

  /**
   * Gives the addresses of the host's name. Those known serve while name servers are slow or away: the name is still
   * being looked up for an earlier fetch, or nobody can say what it stands for.
   */
  readonly #lookup: LookupFunction = (host, _options, callback) => {
    const known = this.#addresses;
    if (known !== undefined && this.#asking) {
      // A connection expects its addresses later than the call.
      queueMicrotask(() => callback(null, known));
      return;
    }
    this.#takeAddresses = callback;
    if (this.#asking) return;
    this.#asking = true;
    this.#options.names.lookup(host, (outcome) => {
      this.#asking = false;
      if (!(outcome instanceof Error)) this.#addresses = [...outcome];
      else if (failureOf(outcome, false).kind !== "local") this.#addresses = undefined;
      const take = this.#takeAddresses;
      this.#takeAddresses = undefined;
      if (this.#addresses !== undefined) take?.(null, this.#addresses);
      else take?.(outcome instanceof Error ? outcome : null, []);
    });
  };

  #watch(socket: Socket): Socket {
    socket.on("error", (error) => {
      if (socket === this.#socket) this.#broken(failureOf(error, this.#response.answered));
    });
    const closed = (): void => {
      if (socket !== this.#socket) return;
      const outcome = this.#done === undefined ? undefined : this.#response.finish();
      if (outcome instanceof PollFailure) this.#broken(outcome);
      else {
        this.#drop({ keepsPage: true });
        if (outcome !== undefined) this.#finish(outcome);
      }
    };
    socket.on("end", closed);
    socket.on("close", closed);
    return socket;
  }

  #read(socket: Socket, bytes: Buffer, end: number): void {
    if (socket !== this.#socket) return;
    const outcome = this.#response.feed(bytes, end);
    if (outcome === undefined) return;
    // Without a fetch at hand, these are bytes that nobody asked for.
    if (outcome instanceof PollFailure || !this.#response.keepsConnection) this.#drop({ keepsPage: true });
    this.#finish(outcome);
  }

  /** The connection is of no use any more. A request that met one just being closed goes out again on a new one. */
  #broken(failure: PollFailure): void {
    const isRetried = this.#done !== undefined && this.#isReused && !this.#response.started;
    this.#drop();
    if (!isRetried) this.#finish(failure);
    else {
      this.#isReused = false;
      this.#send();
    }
  }

  #drop({ keepsPage = false }: { readonly keepsPage?: boolean } = {}): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#takeAddresses = undefined;
    if (!keepsPage) this.#response.reset();
    socket?.destroy();
  }

  #finish(outcome: Uint8Array | PollFailure): void {
    const done = this.#done;
    this.#done = undefined;
    try {
      done?.(outcome);
    } finally {
      // The page has been read; unless `done` began the next fetch, its buffer is free.
      if (this.#done === undefined) this.#response.reset();
    }
  }
}
