export { createGrpcJsServer } from "./grpc-js-transport.ts";
export {
  type RpcEnd,
  type RpcHandler,
  type RpcMethod,
  type RpcServer,
  type RpcServerFactory,
  type RpcServerOptions,
  type RpcStream,
  type RpcTls,
  rpcStatus,
} from "./rpc-transport.ts";
