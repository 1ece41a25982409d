import type { MetricFamily, MetricOptions, MetricsRegistry } from "@pointsman/core";

/** A registry that keeps values where a test can see them, and tells when they change. */
export class FakeMetrics implements MetricsRegistry {
  readonly #values = new Map<string, number>();
  #waiting: { readonly key: string; readonly reached: (value: number) => boolean; readonly resolve: () => void }[] = [];

  value(name: string, ...labels: readonly string[]): number {
    return this.#values.get([name, ...labels].join(" ")) ?? 0;
  }

  /** Resolves once the value satisfies `reached`. */
  until(name: string, labels: readonly string[], reached: (value: number) => boolean): Promise<void> {
    if (reached(this.value(name, ...labels))) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ key: [name, ...labels].join(" "), reached, resolve });
    });
  }

  counter(options: MetricOptions): MetricFamily<{ inc(amount?: number): void }> {
    return this.#family(options);
  }

  gauge(options: MetricOptions): MetricFamily<{
    set(value: number): void;
    inc(amount?: number): void;
    dec(amount?: number): void;
  }> {
    return this.#family(options);
  }

  histogram(options: MetricOptions): MetricFamily<{ observe(value: number): void }> {
    return this.#family(options);
  }

  #family(options: MetricOptions): MetricFamily<{
    set(value: number): void;
    inc(amount?: number): void;
    dec(amount?: number): void;
    observe(value: number): void;
  }> {
    return {
      labels: (...labels) => {
        const key = [options.name, ...labels].join(" ");
        return {
          set: (value) => this.#set(key, value),
          inc: (amount = 1) => this.#set(key, (this.#values.get(key) ?? 0) + amount),
          dec: (amount = 1) => this.#set(key, (this.#values.get(key) ?? 0) - amount),
          observe: (value) => this.#set(key, value),
        };
      },
      remove: () => {},
    };
  }

  #set(key: string, value: number): void {
    this.#values.set(key, value);
    const met = this.#waiting.filter((entry) => entry.key === key && entry.reached(value));
    if (met.length === 0) return;
    this.#waiting = this.#waiting.filter((entry) => !met.includes(entry));
    for (const entry of met) entry.resolve();
  }
}
