import type { Endpoint } from "@pointsman/core";

interface Imprint {
  readonly endpoint: Endpoint;
  readonly metadata: unknown;
  readonly hostPort: string;
  readonly reachability: string;
  readonly values: readonly unknown[];
  readonly writtenAtMs: readonly number[];
}

/** Copies everything a reader could see of the endpoints, to be compared after a plugin was at work. */
export function imprintOf(endpoints: readonly Endpoint[]): readonly unknown[] {
  return endpoints.map(
    (endpoint): Imprint => ({
      endpoint,
      metadata: structuredClone(endpoint.metadata),
      hostPort: endpoint.hostPort,
      reachability: endpoint.reachability,
      values: endpoint.values.map(copyOf),
      writtenAtMs: [...endpoint.writtenAtMs],
    }),
  );
}

/** A deep copy; the value itself where it holds functions, which cannot be copied. */
function copyOf(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return value;
  }
}
