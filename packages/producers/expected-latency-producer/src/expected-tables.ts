import type { ExpectedLatency } from "@pointsman/core";

const tables = 8;

/** What one request is expected to see and to cause, by slot. One allocation for all tables. */
export class ExpectedTables implements ExpectedLatency {
  readonly ttftMs: Float64Array;
  readonly queueMs: Float64Array;
  readonly memoryMs: Float64Array;
  readonly prefillMs: Float64Array;
  readonly sparedMs: Float64Array;
  readonly decodeMs: Float64Array;
  readonly harmMs: Float64Array;
  readonly evictMs: Float64Array;
  readonly usualEndToEndRatio: number;

  /** For slots below `length`, `endpoints` of which are to be set; others are unknown. */
  constructor(length: number, endpoints: number, usualEndToEndRatio: number) {
    this.usualEndToEndRatio = usualEndToEndRatio;
    const all = new Float64Array(tables * length);
    // Slots are unique: as many endpoints as slots leave none out.
    if (endpoints < length) all.fill(Number.NaN);
    const table = (index: number): Float64Array =>
      new Float64Array(all.buffer, index * length * all.BYTES_PER_ELEMENT, length);
    this.ttftMs = table(0);
    this.queueMs = table(1);
    this.memoryMs = table(2);
    this.prefillMs = table(3);
    this.sparedMs = table(4);
    this.decodeMs = table(5);
    this.harmMs = table(6);
    this.evictMs = table(7);
  }
}
