import { createSecureContext, type SecureContextOptions } from "node:tls";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import {
  type RpcHandler,
  type RpcMethod,
  type RpcServer,
  type RpcServerOptions,
  type RpcTls,
  rpcStatus,
} from "./rpc-transport.ts";

const identity = (bytes: Buffer): Buffer => bytes;

/** A server on @grpc/grpc-js. Every method is registered as a stream in both directions, which on the wire covers all kinds. */
export function createGrpcJsServer(options: RpcServerOptions): RpcServer {
  const server = new Server({
    "grpc.max_receive_message_length": options.maxReceiveBytes,
    "grpc.max_send_message_length": options.maxSendBytes ?? -1,
    // One connection of a proxy carries thousands of streams.
    "grpc.max_concurrent_streams": 0x7fffffff,
  });
  let openStreams = 0;
  const closed = (): void => {
    openStreams--;
  };
  for (const [path, method] of options.methods) {
    server.register(
      path,
      (call: ServerDuplexStream<Buffer, Buffer>) => {
        openStreams++;
        serve(call, method, closed);
      },
      identity,
      identity,
      "bidi",
    );
  }
  const tls = options.tls === undefined ? undefined : new TlsCredentials(options.tls);
  const credentials = tls ?? ServerCredentials.createInsecure();
  const address = options.host.includes(":") ? `[${options.host}]:${options.port}` : `${options.host}:${options.port}`;
  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.bindAsync(address, credentials, (error, port) => {
          if (error === null) resolve({ port });
          else reject(error);
        });
      }),
    drain: (timeoutMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          server.forceShutdown();
          resolve();
        }, timeoutMs);
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

function serve(call: ServerDuplexStream<Buffer, Buffer>, method: RpcMethod, closed: () => void): void {
  let over = false;
  call.once("close", closed);
  const handler: RpcHandler = method({
    send(slices) {
      if (!over) call.write(slices.length === 1 ? Buffer.from(slices[0]!) : Buffer.concat(slices));
    },
    end(status) {
      if (over) return;
      over = true;
      if (status === undefined || status.code === rpcStatus.ok) call.end();
      else call.emit("error", { code: status.code, details: status.message });
    },
  });
  const cancelled = (code: number): void => {
    if (over) return;
    over = true;
    handler.cancelled(code);
  };
  call.on("data", (bytes: Buffer) => {
    if (!over) handler.message(bytes);
  });
  call.on("end", () => {
    if (!over) handler.halfClose();
  });
  call.on("cancelled", () => cancelled(deadlinePassed(call) ? rpcStatus.deadlineExceeded : rpcStatus.cancelled));
  call.on("error", (error: Error & { readonly code?: unknown }) => {
    cancelled(typeof error.code === "number" ? error.code : rpcStatus.unknown);
  });
}

function deadlinePassed(call: ServerDuplexStream<Buffer, Buffer>): boolean {
  return Number(call.getDeadline()) <= Date.now();
}
