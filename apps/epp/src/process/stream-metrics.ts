import type { Clock, MetricsRegistry } from "@pointsman/core";
import type { RpcHandler, RpcMethod, RpcStream } from "@pointsman/grpc-transport";

/** Names of gRPC status codes, by code. Source: the gRPC specification, in Go's spelling. */
const codeNames: readonly string[] = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];

/** Source: spec metrics section 7. */
const durationBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600];

/** Gives a method that does the same and counts its streams: those open, how long they last, how they end. */
export function withStreamMetrics(method: RpcMethod, metrics: MetricsRegistry, clock: Clock): RpcMethod {
  const inflight = metrics
    .gauge({ name: "llm_d_epp_extproc_streams_inflight", help: "Open ext_proc streams." })
    .labels();
  const duration = metrics
    .histogram({
      name: "llm_d_epp_extproc_stream_duration_seconds",
      help: "Time from the start of an ext_proc stream to its end.",
      buckets: durationBuckets,
    })
    .labels();
  const ended = metrics.counter({
    name: "llm_d_epp_extproc_streams_total",
    help: "Ended ext_proc streams by gRPC status.",
    labelNames: ["code"],
  });
  return (stream) => {
    const startMs = clock.now();
    let over = false;
    inflight.inc();
    const end = (code: number): void => {
      if (over) return;
      over = true;
      inflight.dec();
      duration.observe((clock.now() - startMs) / 1000);
      ended.labels(codeNames[code] ?? "Unknown").inc();
    };
    const counted: RpcStream = {
      send: (slices) => stream.send(slices),
      end(status) {
        end(status?.code ?? 0);
        stream.end(status);
      },
    };
    /** A handler that throws has its RPC ended with INTERNAL by the transport. */
    const guarded = <T>(run: () => T): T => {
      try {
        return run();
      } catch (thrown: unknown) {
        end(codeNames.indexOf("Internal"));
        throw thrown;
      }
    };
    const handler: RpcHandler = guarded(() => method(counted));
    return {
      message: (bytes) => guarded(() => handler.message(bytes)),
      halfClose: () => guarded(() => handler.halfClose()),
      cancelled(code) {
        end(code);
        handler.cancelled(code);
      },
    };
  };
}
