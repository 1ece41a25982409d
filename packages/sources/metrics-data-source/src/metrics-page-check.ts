import { MetricsQuery } from "@pointsman/core/prometheus";

const headBytes = 2048;
const newline = 0x0a;
// Without a wanted name a scan only tells whether the bytes are a metrics page.
const anyPage = new MetricsQuery([]);

/** Says why a body is no metrics page; `undefined` for one, and for an empty body. */
export function metricsPageProblem(body: Uint8Array): string | undefined {
  // A metrics page shows what it is in its first lines; only a page that does not is looked at as a whole.
  const headEnd = body.subarray(0, headBytes).lastIndexOf(newline) + 1;
  if (headEnd > 0 && anyPage.scan(body.subarray(0, headEnd)).garbage === undefined) return undefined;
  return anyPage.scan(body).garbage;
}
