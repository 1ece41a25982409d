import type { Counter, Gauge } from "@pointsman/core";
import { type Cell, type FamilyOptions, pageLine, SeriesFamily } from "./metric-family.ts";

interface NumberCell extends Cell {
  value: number;
}

/** What counters and gauges have in common: one number a series. */
abstract class NumberFamily<M> extends SeriesFamily<NumberCell, M> {
  constructor(options: FamilyOptions) {
    super(options);
    this.listUnlabelled();
  }

  protected override newCell(labels: Readonly<Record<string, string>>, labelText: string): NumberCell {
    return { labels, labelText, isListed: true, value: 0 };
  }

  protected override addTo(sum: NumberCell, { value }: NumberCell): void {
    sum.value += value;
  }

  protected override lines(name: string, { labelText, value }: NumberCell): string {
    return pageLine(name, labelText, value);
  }
}

export class CounterFamily extends NumberFamily<Counter> {
  override readonly type = "counter" as const;

  protected override child(key: string, values: readonly string[]): Counter {
    return new NumberChild(this, key, values);
  }
}

export class GaugeFamily extends NumberFamily<Gauge> {
  override readonly type = "gauge" as const;

  protected override child(key: string, values: readonly string[]): Gauge {
    return new NumberChild(this, key, values);
  }
}

/** One series of a counter or gauge. */
class NumberChild implements Counter, Gauge {
  readonly #family: CounterFamily | GaugeFamily;
  readonly #key: string;
  readonly #values: readonly string[];
  #cell: NumberCell | undefined;

  constructor(family: CounterFamily | GaugeFamily, key: string, values: readonly string[]) {
    this.#family = family;
    this.#key = key;
    this.#values = values;
  }

  /** Throws for what would make a counter useless: a value below 0 or none at all. */
  inc(amount: number = 1): void {
    const family = this.#family;
    if (family.type === "counter" && !(amount >= 0 && amount < Number.POSITIVE_INFINITY)) {
      throw new RangeError(`counter ${family.name} cannot grow by ${amount}`);
    }
    this.#listed().value += amount;
  }

  dec(amount: number = 1): void {
    this.#listed().value -= amount;
  }

  set(value: number): void {
    this.#listed().value = value;
  }

  #listed(): NumberCell {
    if (this.#cell?.isListed !== true) this.#cell = this.#family.cell(this.#key, this.#values);
    return this.#cell;
  }
}
