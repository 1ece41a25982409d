import type { FeatureRow } from "./feature-row.ts";

/** A row with what came of it. */
export interface TrainingRow extends FeatureRow {
  readonly actual_ttft_ms: number;
  readonly actual_tpot_ms: number;
  /** ISO 8601. */
  readonly timestamp: string;
}

/**
 * Rows for training, up to a number of them. When it is full, a new row takes the place of a row, chosen by chance, of
 * the kind of situation with most rows, so that rare situations stay.
 */
export class TrainingBuffer {
  readonly #capacity: number;
  readonly #random: () => number;
  readonly #strata: Map<string, TrainingRow[]> = new Map();
  #size = 0;
  /** Rows that gave way to others. */
  displaced = 0;

  constructor(capacity: number, random: () => number) {
    this.#capacity = capacity;
    this.#random = random;
  }

  get size(): number {
    return this.#size;
  }

  add(row: TrainingRow): void {
    if (this.#size >= this.#capacity) this.#displace();
    const key = stratumOf(row);
    const rows = this.#strata.get(key);
    if (rows === undefined) this.#strata.set(key, [row]);
    else rows.push(row);
    this.#size++;
  }

  /** Takes all rows out. */
  take(): readonly TrainingRow[] {
    const rows = [...this.#strata.values()].flat();
    this.#strata.clear();
    this.#size = 0;
    return rows;
  }

  #displace(): void {
    let fullest: TrainingRow[] | undefined;
    let fullestKey = "";
    for (const [key, rows] of this.#strata) {
      if (rows.length > (fullest?.length ?? 0)) {
        fullest = rows;
        fullestKey = key;
      }
    }
    if (fullest === undefined) return;
    const index = Math.floor(this.#random() * fullest.length);
    const last = fullest.pop()!;
    if (index < fullest.length) fullest[index] = last;
    if (fullest.length === 0) this.#strata.delete(fullestKey);
    this.#size--;
    this.displaced++;
  }
}

/** A few hundred kinds of situation at most: what is learned, role class, KV cache, prefix match, prompt length. */
function stratumOf(row: TrainingRow): string {
  const learned = row.actual_tpot_ms > 0 ? "tpot" : "ttft";
  const role = row.pod_type === "prefill" ? "prefill" : "other";
  const kvCache = Math.min(3, Math.floor(row.kv_cache_percentage * 4));
  const prefix = Math.min(2, Math.floor(row.prefix_cache_score * 3));
  const length = Math.min(12, Math.floor(Math.log2(1 + row.input_token_length) / 2));
  return `${learned}/${role}/${kvCache}/${prefix}/${length}`;
}
