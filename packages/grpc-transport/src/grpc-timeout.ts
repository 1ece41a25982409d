/** Milliseconds per unit. Source: the gRPC over HTTP/2 specification. */
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000001 };

/** Milliseconds of a `grpc-timeout` value, such as `100m`; undefined when it is not one. */
export function parseGrpcTimeout(value: string): number | undefined {
  const unit = unitMs[value.slice(-1)];
  const digits = value.length - 1;
  if (unit === undefined || digits < 1 || digits > 8) return undefined;
  let amount = 0;
  for (let at = 0; at < digits; at++) {
    const digit = value.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    amount = amount * 10 + digit;
  }
  return amount * unit;
}
