export { createGrpcJsServer } from "./grpc-js-transport.ts";
export { defaultHttp2Keepalive, defaultHttp2Limits, type Http2Keepalive, type Http2Limits } from "./http2-limits.ts";
export { createHttp2Server, type Http2Server, type Http2ServerLoad } from "./http2-server.ts";
export { type Http2Violation, http2Violations } from "./http2-violation.ts";
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
