import { SeededRandom } from "../seeded-random.ts";
import type { WorkloadRequest } from "../workload/workload.ts";
import type { Choice, RoutingPolicy } from "./routing-policy.ts";

/** Several pickers side by side, each of which gets a random share of the requests and knows nothing of the others'. */
export class ReplicatedPolicy implements RoutingPolicy {
  readonly name: string;
  readonly #replicas: readonly RoutingPolicy[];
  readonly #random: SeededRandom;

  /** At least one replica is needed. */
  constructor(replicas: readonly RoutingPolicy[], seed: number) {
    this.name = replicas[0]!.name;
    this.#replicas = replicas;
    this.#random = new SeededRandom(seed, 9);
  }

  route(request: WorkloadRequest, chosen: (choice: Choice) => void): void {
    this.#replicas[this.#random.between(0, this.#replicas.length - 1)]!.route(request, chosen);
  }

  async dispose(): Promise<void> {
    for (const replica of this.#replicas) await replica.dispose?.();
  }
}
