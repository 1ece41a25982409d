import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { type RpcHandler, type RpcMethod, type RpcServer, type RpcServerOptions, rpcStatus } from "./rpc-transport.ts";

const identity = (bytes: Buffer): Buffer => bytes;

/** A server on @grpc/grpc-js. Every method is registered as a stream in both directions, which on the wire covers all kinds. */
export function createGrpcJsServer(options: RpcServerOptions): RpcServer {
  const server = new Server({
    "grpc.max_receive_message_length": options.maxReceiveBytes,
    "grpc.max_send_message_length": options.maxSendBytes ?? -1,
    // One connection of a proxy carries thousands of streams.
    "grpc.max_concurrent_streams": 0x7fffffff,
  });
  for (const [path, method] of options.methods) {
    server.register(
      path,
      (call: ServerDuplexStream<Buffer, Buffer>) => serve(call, method),
      identity,
      identity,
      "bidi",
    );
  }
  const credentials =
    options.tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [
          { cert_chain: Buffer.from(options.tls.cert), private_key: Buffer.from(options.tls.key) },
        ]);
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
  };
}

function serve(call: ServerDuplexStream<Buffer, Buffer>, method: RpcMethod): void {
  let over = false;
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
  const cancelled = (): void => {
    if (over) return;
    over = true;
    handler.cancelled();
  };
  call.on("data", (bytes: Buffer) => {
    if (!over) handler.message(bytes);
  });
  call.on("end", () => {
    if (!over) handler.halfClose();
  });
  call.on("cancelled", cancelled);
  call.on("error", cancelled);
}
