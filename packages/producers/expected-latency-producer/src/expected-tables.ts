import { type Endpoint, type ExpectedLatency, slotTableLength } from "@pointsman/core";
import type { ExpectedCosts } from "./expected-costs.ts";

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

  /** For `endpoints`, of each of which the costs must be set; other slots are unknown. */
  constructor(endpoints: readonly Endpoint[]) {
    const length = slotTableLength(endpoints);
    const all = new Float64Array(tables * length);
    // Slots are unique: as many endpoints as slots leave none out.
    if (endpoints.length < length) all.fill(Number.NaN);
    const table = (index: number): Float64Array => all.subarray(index * length, (index + 1) * length);
    this.ttftMs = table(0);
    this.queueMs = table(1);
    this.memoryMs = table(2);
    this.prefillMs = table(3);
    this.sparedMs = table(4);
    this.decodeMs = table(5);
    this.harmMs = table(6);
    this.evictMs = table(7);
  }

  set(slot: number, costs: ExpectedCosts): void {
    this.ttftMs[slot] = costs.ttftMs;
    this.queueMs[slot] = costs.queueMs;
    this.memoryMs[slot] = costs.memoryMs;
    this.prefillMs[slot] = costs.prefillMs;
    this.sparedMs[slot] = costs.sparedMs;
    this.decodeMs[slot] = costs.decodeMs;
    this.harmMs[slot] = costs.harmMs;
    this.evictMs[slot] = costs.evictMs;
  }
}
