import { resolve } from "node:path";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { maxDelayMs } from "./deadline-queue.ts";
import { defaultHttp2Limits, type Http2Limits } from "./http2-limits.ts";
import {
  type RpcHandler,
  type RpcMethod,
  type RpcServer,
  type RpcServerOptions,
  type RpcTls,
  rpcStatus,
} from "./rpc-transport.ts";

/** Replies of one RPC that wait for the client; above it the RPC's requests are not read. */
const maxWaitingBytes = 65_536;

const identity = (bytes: Buffer): Buffer => bytes;

/** A server on @grpc/grpc-js. Every method is registered as a stream in both directions, which on the wire covers all kinds. */
export function createGrpcJsServer(options: RpcServerOptions): RpcServer {
  const server = new Server({
    "grpc.max_receive_message_length": options.maxReceiveBytes,
    "grpc.max_send_message_length": options.maxSendBytes ?? -1,
    // One connection of a proxy carries thousands of streams.
    "grpc.max_concurrent_streams": 0x7fffffff,
  });
  allowResets(server, { ...defaultHttp2Limits, ...options.limits });
  let openStreams = 0;
  const closed = (): void => {
    openStreams--;
  };
  const threw = (error: unknown): void => {
    if (options.onHandlerError !== undefined) options.onHandlerError(error);
    else {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
  for (const [path, method] of options.methods) {
    server.register(
      path,
      (call: ServerDuplexStream<Buffer, Buffer>) => {
        openStreams++;
        serve(call, method, closed, threw);
      },
      identity,
      identity,
      "bidi",
    );
  }
  const tls = options.tls === undefined ? undefined : new TlsCredentials(options.tls);
  const credentials = tls ?? ServerCredentials.createInsecure();
  return {
    start: () =>
      new Promise((started, reject) => {
        server.bindAsync(addressOf(options), credentials, (error, port) => {
          if (error === null) started({ port: options.socketPath === undefined ? port : 0 });
          else reject(error);
        });
      }),
    drain: (timeoutMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(
          () => {
            server.forceShutdown();
            resolve();
          },
          Math.min(timeoutMs, maxDelayMs),
        );
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
    stop: () => server.forceShutdown(),
    reloadTls(next) {
      if (tls === undefined) throw new Error("the server speaks plaintext: it has no certificate");
      tls.reload(next);
    },
    openStreams: () => openStreams,
  };
}

function addressOf({ host, port, socketPath }: RpcServerOptions): string {
  if (socketPath !== undefined) return `unix:${resolve(socketPath)}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Node's HTTP/2 ends a connection with all its streams at 1,000 resets at once, and Node 24 sometimes aborts over it. Its
 * options for that are none of the library's, so they go where the library keeps those that it hands to Node.
 */
function allowResets(server: Server, { resetBurst, resetsPerSecond }: Http2Limits): void {
  const handedOn: unknown = Reflect.get(server, "commonServerOptions");
  if (typeof handedOn !== "object" || handedOn === null) return;
  Object.assign(handedOn, { streamResetBurst: resetBurst, streamResetRate: resetsPerSecond });
}

/** Credentials whose certificate can be replaced while they serve, with the version and suites that were asked for. */
class TlsCredentials extends ServerCredentials {
  constructor(tls: RpcTls) {
    const context = secureContextOf(tls);
    super(context, context);
  }

  reload(tls: RpcTls): void {
    const context = secureContextOf(tls);
    // The library would take a pair that does not fit as a reason to refuse all connections.
    createSecureContext(context);
    this.updateSecureContextOptions(context);
  }

  _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function secureContextOf(tls: RpcTls): SecureContextOptions {
  return {
    cert: tls.cert,
    key: tls.key,
    minVersion: tls.minVersion ?? "TLSv1.2",
    ...(tls.ciphers === undefined ? {} : { ciphers: tls.ciphers }),
  };
}

function serve(
  call: ServerDuplexStream<Buffer, Buffer>,
  method: RpcMethod,
  closed: () => void,
  threw: (error: unknown) => void,
): void {
  let over = false;
  let waitingBytes = 0;
  let handler: RpcHandler | undefined;
  const cancelled = (code: number): void => {
    if (over) return;
    over = true;
    try {
      handler?.cancelled(code);
    } catch (error: unknown) {
      threw(error);
    }
  };
  /** Runs a method of the service; the RPC of one that throws ends. */
  const guard = (run: () => void): void => {
    try {
      run();
    } catch (error: unknown) {
      threw(error);
      // The handler hears of its RPC's end through this event, too.
      if (!over) call.emit("error", { code: rpcStatus.internal, details: "internal error" });
    }
  };
  call.once("close", closed);
  call.on("data", (bytes: Buffer) => {
    if (!over) guard(() => handler?.message(bytes));
  });
  // A stream that is reset ends first and is cancelled after that: what looks like a half close may be none.
  call.on("end", () => {
    setImmediate(() => {
      if (!over) guard(() => handler?.halfClose());
    });
  });
  call.on("cancelled", () => cancelled(deadlinePassed(call) ? rpcStatus.deadlineExceeded : rpcStatus.cancelled));
  call.on("error", (error: Error & { readonly code?: unknown }) => {
    cancelled(typeof error.code === "number" ? error.code : rpcStatus.unknown);
  });
  guard(() => {
    handler = method({
      send(slices) {
        if (over) return;
        const message = slices.length === 1 ? Buffer.from(slices[0]!) : Buffer.concat(slices);
        waitingBytes += message.length;
        call.write(message, () => {
          waitingBytes -= message.length;
          if (waitingBytes <= maxWaitingBytes / 2) call.resume();
        });
        if (waitingBytes > maxWaitingBytes) call.pause();
      },
      end(status) {
        if (over) return;
        over = true;
        if (status === undefined || status.code === rpcStatus.ok) call.end();
        else call.emit("error", { code: status.code, details: status.message });
      },
    });
  });
}

/** Timers may run a millisecond early by this clock. */
function deadlinePassed(call: ServerDuplexStream<Buffer, Buffer>): boolean {
  return Number(call.getDeadline()) <= Date.now() + 1;
}
