import { errorText, type InferenceObjective, type Logger, type Objectives } from "@pointsman/core";

/** Objectives known at once; further ones are left out. */
export const maxObjectives: number = 10_000;

/** Hears of the distinct priorities that objectives state, highest first. */
export type PrioritiesListener = (priorities: readonly number[]) => void;

/**
 * The InferenceObjectives of a pool by name.
 *
 * Whoever finds them writes through `set`, `delete` or `replaceAll`; all names are of one namespace. The request path
 * reads `priorityOf`. Cost: `priorityOf` one look-up.
 */
export class ObjectiveStore implements Objectives {
  readonly #objectives: Map<string, InferenceObjective> = new Map();
  readonly #listeners: Set<PrioritiesListener> = new Set();
  readonly #logger: Logger;
  #priorities: readonly number[] = [];
  #isFull = false;

  constructor(options: { readonly logger: Logger }) {
    this.#logger = options.logger;
  }

  /** The priority of an objective, 0 where it states none; `undefined` for one that is not known. */
  priorityOf(objective: string): number | undefined {
    const known = this.#objectives.get(objective);
    return known === undefined ? undefined : (known.priority ?? 0);
  }

  get size(): number {
    return this.#objectives.size;
  }

  /** Distinct priorities that objectives state, highest first. */
  get priorities(): readonly number[] {
    return this.#priorities;
  }

  set(objective: InferenceObjective): void {
    this.#add(objective);
    this.#changed();
  }

  /** Unknown names are ignored. */
  delete(name: string): void {
    if (!this.#objectives.delete(name)) return;
    this.#isFull = false;
    this.#changed();
  }

  /** Makes these the only ones. Of several with one name the last counts. */
  replaceAll(objectives: readonly InferenceObjective[]): void {
    this.#objectives.clear();
    this.#isFull = false;
    for (const objective of objectives) this.#add(objective);
    this.#changed();
  }

  /** Tells `listener` of the priorities now and whenever they change; returns what ends that. */
  subscribe(listener: PrioritiesListener): () => void {
    this.#listeners.add(listener);
    this.#tell(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #add(objective: InferenceObjective): void {
    if (this.#objectives.size >= maxObjectives && !this.#objectives.has(objective.name)) {
      if (this.#isFull) return;
      this.#isFull = true;
      this.#logger.warn(
        { objective: objective.name, limit: maxObjectives },
        "there are more objectives than are kept; requests that name the others have priority 0",
      );
      return;
    }
    this.#objectives.set(objective.name, objective);
  }

  #changed(): void {
    const stated = [...this.#objectives.values()].flatMap(({ priority }) => (priority === undefined ? [] : [priority]));
    const priorities = [...new Set(stated)].sort((a, b) => b - a);
    const same = priorities.length === this.#priorities.length && priorities.every((p, i) => p === this.#priorities[i]);
    if (same) return;
    this.#priorities = priorities;
    for (const listener of this.#listeners) this.#tell(listener);
  }

  #tell(listener: PrioritiesListener): void {
    try {
      listener(this.#priorities);
    } catch (thrown: unknown) {
      this.#logger.error({ problem: errorText(thrown) }, "a listener failed on a change of priorities");
    }
  }
}
