import type { ApiClient } from "./api-client.ts";
import { ItemReader } from "./item-reader.ts";
import { asRecord, asText } from "./json-value.ts";
import { withQuery } from "./resource-path.ts";
import type { WatchLimits } from "./watch-limits.ts";

export interface ListRequest {
  readonly client: ApiClient;
  readonly path: string;
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
  /** Members of items that nobody reads. */
  readonly skip: readonly string[];
  readonly limits: WatchLimits;
  readonly signal: AbortSignal;
  /** Called with the JSON text of each item, in order. */
  onItem(json: string): void;
}

/**
 * Lists a collection page by page; returns the version to watch from, which is that of the first page. Rejects when the
 * list is not complete.
 */
export async function listObjects(request: ListRequest): Promise<string> {
  const { listMs } = request.limits;
  const late = AbortSignal.timeout(listMs);
  const signal = AbortSignal.any([request.signal, late]);
  try {
    const first = await readPage(request, signal, undefined);
    for (let next = first.next; next !== undefined; ) ({ next } = await readPage(request, signal, next));
    return first.version;
  } catch (thrown: unknown) {
    if (!late.aborted) throw thrown;
    throw new Error(`${request.path}: the list was not complete after ${listMs} ms`, { cause: thrown });
  }
}

interface Page {
  readonly version: string;
  /** What asks for the next page. */
  readonly next: string | undefined;
}

async function readPage(request: ListRequest, signal: AbortSignal, from: string | undefined): Promise<Page> {
  const { client, path, labelSelector, fieldSelector, skip, onItem } = request;
  const { maxObjectBytes, graceMs, pageObjects } = request.limits;
  const reader = new ItemReader({ maxItemBytes: maxObjectBytes, skip, onItem });
  const query = { labelSelector, fieldSelector, limit: String(pageObjects), continue: from };
  await client.stream({
    path: withQuery(path, query),
    idleMs: graceMs * 2,
    signal,
    onChunk: (chunk) => reader.push(chunk),
  });
  const envelope = asRecord(reader.end());
  // Go writes null for a list that was never made.
  if (envelope["items"] !== null && !Array.isArray(envelope["items"]))
    throw new Error(`${path}: the answer has no items`);
  const metadata = asRecord(envelope["metadata"]);
  const version = asText(metadata["resourceVersion"]);
  if (version === undefined) throw new Error(`${path}: the list has no resourceVersion`);
  const next = asText(metadata["continue"]);
  return { version, next: next === "" ? undefined : next };
}
