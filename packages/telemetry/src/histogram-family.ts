import type { Histogram } from "@pointsman/core";
import { type Cell, type FamilyOptions, pageLine, SeriesFamily } from "./metric-family.ts";

interface HistogramCell extends Cell {
  /** Values in each bucket alone, aligned with the bounds; larger ones are in `count` only. */
  readonly inBucket: Float64Array;
  sum: number;
  count: number;
}

export class HistogramFamily extends SeriesFamily<HistogramCell, Histogram> {
  override readonly type = "histogram" as const;
  /** Upper bounds of the buckets, ascending. */
  readonly bounds: readonly number[];

  /** Throws for bounds that do not ascend, and for a label `le`, which the buckets need. */
  constructor(options: FamilyOptions & { readonly buckets: readonly number[] }) {
    super(options);
    const { name, labelNames, buckets } = options;
    if (labelNames.includes("le")) throw new Error(`metric ${name}: a histogram cannot have a label "le"`);
    if (!buckets.every((bound, at) => at === 0 || bound > buckets[at - 1]!)) {
      throw new Error(`metric ${name}: the bounds of its buckets do not ascend`);
    }
    this.bounds = [...buckets];
    this.listUnlabelled();
  }

  protected override newCell(labels: Readonly<Record<string, string>>, labelText: string): HistogramCell {
    return { labels, labelText, isListed: true, inBucket: new Float64Array(this.bounds.length), sum: 0, count: 0 };
  }

  protected override child(key: string, values: readonly string[]): Histogram {
    return new HistogramChild(this, key, values);
  }

  protected override addTo(total: HistogramCell, { inBucket, sum, count }: HistogramCell): void {
    for (let at = 0; at < inBucket.length; at++) total.inBucket[at]! += inBucket[at]!;
    total.sum += sum;
    total.count += count;
  }

  protected override lines(name: string, { labelText, inBucket, sum, count }: HistogramCell): string {
    const others = labelText === "" ? "" : `,${labelText}`;
    let lines = "";
    let upTo = 0;
    for (let at = 0; at < inBucket.length; at++) {
      upTo += inBucket[at]!;
      lines += `${name}_bucket{le="${this.bounds[at]!}"${others}} ${upTo}\n`;
    }
    lines += `${name}_bucket{le="+Inf"${others}} ${count}\n`;
    return lines + pageLine(`${name}_sum`, labelText, sum) + pageLine(`${name}_count`, labelText, count);
  }
}

/** One series of a histogram. */
class HistogramChild implements Histogram {
  readonly #family: HistogramFamily;
  readonly #bounds: readonly number[];
  readonly #key: string;
  readonly #values: readonly string[];
  #cell: HistogramCell | undefined;

  constructor(family: HistogramFamily, key: string, values: readonly string[]) {
    this.#family = family;
    this.#bounds = family.bounds;
    this.#key = key;
    this.#values = values;
  }

  /** Throws for a value that would make the sum useless. */
  observe(value: number): void {
    if (!Number.isFinite(value)) throw new RangeError(`histogram ${this.#family.name} cannot take ${value}`);
    if (this.#cell?.isListed !== true) this.#cell = this.#family.cell(this.#key, this.#values);
    const cell = this.#cell;
    const bounds = this.#bounds;
    cell.sum += value;
    cell.count++;
    for (let at = 0; at < bounds.length; at++) {
      if (value > bounds[at]!) continue;
      cell.inBucket[at]!++;
      return;
    }
  }
}
