import type { AnyPluginDefinition, Logger, PluginInstance } from "@pointsman/core";
import type { OwnedTimers } from "./owned-timers.ts";

/** An instance with what it was made of. Several graphs may hold it; it lives until the last one lets go. */
export class OwnedPlugin {
  readonly name: string;
  readonly definition: AnyPluginDefinition;
  readonly params: unknown;
  readonly instance: PluginInstance;
  /** Instances of the plugins that its parameters refer to. */
  readonly references: readonly PluginInstance[];
  readonly #timers: OwnedTimers;
  #holders = 1;

  constructor(
    made: Pick<OwnedPlugin, "name" | "definition" | "params" | "instance" | "references">,
    timers: OwnedTimers,
  ) {
    this.name = made.name;
    this.definition = made.definition;
    this.params = made.params;
    this.instance = made.instance;
    this.references = made.references;
    this.#timers = timers;
  }

  hold(): void {
    this.#holders++;
  }

  /** Disposes the instance when nobody else holds it. Never rejects; what fails is logged. */
  async letGo(logger: Logger): Promise<void> {
    if (--this.#holders > 0) return;
    try {
      await this.instance.dispose?.();
    } catch (thrown) {
      logger.error({ plugin: this.name, err: thrown }, "plugin failed to dispose");
    }
    this.#timers.stopAll();
  }
}
