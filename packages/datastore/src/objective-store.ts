import { errorText, type InferenceObjective, type Logger, type Objectives } from "@pointsman/core";

/** Objectives known at once; further ones are left out. */
export const maxObjectives: number = 10_000;

/** Hears of the distinct priorities that objectives state, highest first. */
export type PrioritiesListener = (priorities: readonly number[]) => void;

/**
 * The InferenceObjectives of a pool by name.
 *
 * Whoever finds them writes through `set`, `delete` or `replaceAll`; all names are of one namespace. The request path
 * reads `priorityOf`. Cost: `priorityOf` one look-up; `set` and `delete` one, and a copy of the distinct priorities when
 * they change.
 */
export class ObjectiveStore implements Objectives {
  readonly #objectives: Map<string, InferenceObjective> = new Map();
  readonly #listeners: Set<PrioritiesListener> = new Set();
  readonly #logger: Logger;
  /** Objectives that state each priority. */
  readonly #stating: Map<number, number> = new Map();
  #priorities: readonly number[] = [];
  #told: readonly number[] = [];
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
    const known = this.#objectives.get(name);
    if (known === undefined) return;
    this.#objectives.delete(name);
    this.#unstate(known.priority);
    this.#isFull = false;
    this.#changed();
  }

  /** Makes these the only ones. Of several with one name the last counts. */
  replaceAll(objectives: readonly InferenceObjective[]): void {
    this.#objectives.clear();
    this.#stating.clear();
    this.#priorities = [];
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
    const { name, priority } = objective;
    const before = this.#objectives.get(name);
    this.#objectives.set(name, objective);
    if (before !== undefined && before.priority === priority) return;
    this.#state(priority);
    this.#unstate(before?.priority);
  }

  #state(priority: number | undefined): void {
    if (priority === undefined) return;
    const stating = this.#stating.get(priority) ?? 0;
    this.#stating.set(priority, stating + 1);
    if (stating === 0) this.#priorities = this.#priorities.toSpliced(this.#placeOf(priority), 0, priority);
  }

  #unstate(priority: number | undefined): void {
    if (priority === undefined) return;
    const stating = this.#stating.get(priority) ?? 0;
    if (stating > 1) this.#stating.set(priority, stating - 1);
    else if (this.#stating.delete(priority)) {
      this.#priorities = this.#priorities.toSpliced(this.#placeOf(priority), 1);
    }
  }

  /** Place of a priority among the distinct ones, which are sorted downwards. */
  #placeOf(priority: number): number {
    let [from, to] = [0, this.#priorities.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#priorities[middle]! > priority) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  #changed(): void {
    const [now, told] = [this.#priorities, this.#told];
    if (now === told || (now.length === told.length && now.every((priority, i) => priority === told[i]))) return;
    this.#told = now;
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
