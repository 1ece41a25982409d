import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type RpcMethod, type RpcStream, rpcStatus } from "@pointsman/grpc-transport";
import { HealthCheckRequestSchema, HealthCheckResponseSchema, HealthListResponseSchema } from "@pointsman/proto/health";

/** Values of the health protocol's status. */
export const healthStatus = { serving: 1, notServing: 2, serviceUnknown: 3 } as const;

/** Answers for the services of a process. */
export interface HealthChecks {
  /** Status of a service name. */
  check(service: string): number;
  /** Names that `List` returns. */
  readonly listed: readonly string[];
}

/** The standard health service: `Check` and `List`; `Watch` is unimplemented, as upstream. */
export function healthMethods(checks: HealthChecks): ReadonlyMap<string, RpcMethod> {
  return new Map<string, RpcMethod>([
    [
      "/grpc.health.v1.Health/Check",
      unary((bytes) => {
        const { service } = fromBinary(HealthCheckRequestSchema, bytes);
        return toBinary(
          HealthCheckResponseSchema,
          create(HealthCheckResponseSchema, { status: checks.check(service) }),
        );
      }),
    ],
    [
      "/grpc.health.v1.Health/List",
      unary(() =>
        toBinary(
          HealthListResponseSchema,
          create(HealthListResponseSchema, {
            statuses: Object.fromEntries(
              checks.listed.map((name) => [name, create(HealthCheckResponseSchema, { status: checks.check(name) })]),
            ),
          }),
        ),
      ),
    ],
    [
      "/grpc.health.v1.Health/Watch",
      (stream) => {
        stream.end({ code: rpcStatus.unimplemented, message: "Watch is not supported; poll Check" });
        return { message: () => {}, halfClose: () => {}, cancelled: () => {} };
      },
    ],
  ]);
}

function unary(answer: (bytes: Uint8Array) => Uint8Array): RpcMethod {
  return (stream: RpcStream) => ({
    message(bytes) {
      let reply: Uint8Array;
      try {
        reply = answer(bytes);
      } catch {
        stream.end({ code: rpcStatus.invalidArgument, message: "malformed request message" });
        return;
      }
      stream.send([reply]);
      stream.end();
    },
    halfClose() {
      // Has no effect once a message was answered.
      stream.end({ code: rpcStatus.invalidArgument, message: "no request message" });
    },
    cancelled() {},
  });
}
