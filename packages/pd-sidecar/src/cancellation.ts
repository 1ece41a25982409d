/** Tells stages of a request that nobody waits for them any more. */
export class Cancellation {
  #cancelled = false;
  readonly #listeners = new Set<() => void>();

  get isCancelled(): boolean {
    return this.#cancelled;
  }

  /** Runs every listener once, in the order they came. */
  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    for (const listener of [...this.#listeners]) listener();
    this.#listeners.clear();
  }

  /** Calls `listener` on cancellation, at once if that has happened. Returns what takes it back. */
  onCancel(listener: () => void): () => void {
    if (this.#cancelled) {
      listener();
      return () => {};
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** One that is cancelled with this one, or alone. `release` cuts it loose. */
  child(): { readonly cancellation: Cancellation; release(): void } {
    const cancellation = new Cancellation();
    const release = this.onCancel(() => cancellation.cancel());
    return { cancellation, release };
  }
}
