import type { AttributeKey } from "@pointsman/core";
import type { ProblemList } from "./config-problem.ts";
import type { LoadedPlugin } from "./loaded-plugin.ts";
import type { Addition, PluginLoader } from "./plugin-loader.ts";
import { listNames, quote } from "./quote.ts";
import type { WiredSource } from "./wire-data-layer.ts";
import { activePlugins, type Wiring } from "./wiring.ts";

const metricsSource = "metrics-data-source";
const metricsExtractor = "core-metrics-extractor";

/** A key that an acting plugin reads and nobody writes. */
interface Need {
  readonly plugin: LoadedPlugin;
  readonly key: AttributeKey<unknown>;
  readonly required: boolean;
}

/**
 * Adds what writes the data that acting plugins read: the default metrics source where metrics are read, and default
 * producers, and theirs in turn. Reports required data that nobody writes.
 */
export async function provideData(
  wiring: Wiring,
  injectDefaults: boolean,
  loader: PluginLoader,
  problems: ProblemList,
): Promise<Wiring> {
  const provision = new Provision(loader, problems, injectDefaults);
  let current = wiring;
  for (;;) {
    const needs = openNeeds(current, loader);
    const source = await provision.metricsSource(current, needs);
    if (source !== undefined) current = { ...current, sources: [...current.sources, source] };
    else if (!(await provision.producer(needs))) {
      provision.reportMissing(needs);
      return current;
    }
  }
}

function openNeeds(wiring: Wiring, loader: PluginLoader): readonly Need[] {
  const active = activePlugins(wiring, loader);
  // By text form: a plugin may bring its own copy of core, with key objects of its own.
  const written = new Set(active.flatMap(({ produces }) => produces.map(({ id }) => id)));
  return active.flatMap((plugin) => {
    const { required = [], optional = [] } = plugin.consumes;
    return [
      ...required.map((key) => ({ plugin, key, required: true })),
      ...optional.map((key) => ({ plugin, key, required: false })),
    ].filter(({ key }) => !written.has(key.id));
  });
}

class Provision {
  readonly #loader: PluginLoader;
  readonly #problems: ProblemList;
  readonly #injectDefaults: boolean;
  readonly #tried = new Set<string>();
  /** Types that could not be added, which has been reported. */
  readonly #failed = new Set<string>();

  constructor(loader: PluginLoader, problems: ProblemList, injectDefaults: boolean) {
    this.#loader = loader;
    this.#problems = problems;
    this.#injectDefaults = injectDefaults;
  }

  /** The default source with its extractor, if a metric is read that nobody writes and no source of the type is used. */
  async metricsSource(wiring: Wiring, needs: readonly Need[]): Promise<WiredSource | undefined> {
    const isUsed = wiring.sources.some(({ source }) => source.definition?.type === metricsSource);
    if (!this.#injectDefaults || isUsed || this.#tried.has(metricsSource)) return undefined;
    const declared = this.#loader.findByType(metricsExtractor);
    const written = declared?.produces ?? (await this.#loader.producedBy(metricsExtractor));
    const need = needs.find(({ key, required }) =>
      // Without the extractor, what it would write is told by the name in the key.
      written === undefined ? required && key.producer === metricsExtractor : hasKey(written, key),
    );
    if (need === undefined) return undefined;
    this.#tried.add(metricsSource).add(metricsExtractor);
    const addition = {
      reason: `${need.plugin.label} reads metrics`,
      instead: "Or set dataLayer.injectDefaults to false and list the sources to use.",
      at: need.plugin.at,
    };
    const source = this.#loader.findByType(metricsSource) ?? (await this.#add(metricsSource, addition));
    const extractor = declared ?? (await this.#add(metricsExtractor, addition));
    if (source !== undefined && extractor !== undefined) return { source, extractors: [extractor] };
    this.#failed.add(metricsExtractor);
    return undefined;
  }

  /** Adds the default producer of one required key. Returns whether there is something new to look at. */
  async producer(needs: readonly Need[]): Promise<boolean> {
    for (const { plugin, key, required } of needs) {
      const type = key.defaultProducerType;
      if (!required || type === undefined || this.#tried.has(type)) continue;
      this.#tried.add(type);
      // A plugin of that name and type that does not write the key is reported as missing data.
      if (this.#loader.find(type)?.definition?.type === type) continue;
      const sameType = this.#loader.findByType(type);
      const addition = {
        reason: `${plugin.label} needs ${key.id}`,
        instead: "Or configure that plugin to read other data.",
        at: plugin.at,
      };
      if (sameType?.sound === true) {
        this.#problems.add(
          "EPP_CONFIG_SECOND_PRODUCER",
          plugin.at,
          `${plugin.label} needs ${key.id}; ${sameType.label} is of the type ${quote(type)} but has another name, so a second plugin of that type is added.`,
          `Let it read ${quote(sameType.name)}, or remove that name.`,
        );
      }
      await this.#add(type, addition);
      return true;
    }
    return false;
  }

  reportMissing(needs: readonly Need[]): void {
    if (this.#loader.unresolved) return;
    for (const { plugin, key, required } of needs) {
      if (!required) continue;
      const { producer } = key;
      const writer = this.#loader.find(producer) ?? this.#loader.findByType(producer);
      // A plugin that was refused has its own problem.
      if (this.#failed.has(producer) || (writer !== undefined && !writer.sound)) continue;
      this.#problems.add(
        "EPP_CONFIG_MISSING_PRODUCER",
        plugin.at,
        `${plugin.label} needs ${key.id}, and no plugin at work writes it.`,
        this.#advice(key, writer),
      );
    }
  }

  async #add(type: string, addition: Addition): Promise<LoadedPlugin | undefined> {
    const plugin = await this.#loader.add(type, addition);
    if (plugin === undefined) this.#failed.add(type);
    return plugin;
  }

  #advice(key: AttributeKey<unknown>, writer: LoadedPlugin | undefined): string {
    const { dataType, producer } = key;
    if (writer !== undefined) {
      if (hasKey(writer.produces, key))
        return `List ${quote(writer.name)} as extractor of an entry of dataLayer.sources.`;
      const written = listNames(writer.produces.map(({ id }) => id));
      return `${quote(writer.name)} writes ${written === "" ? "nothing" : written}.`;
    }
    if (producer === metricsExtractor) {
      return `List ${quote(metricsSource)} with the extractor ${quote(metricsExtractor)} in dataLayer.sources.`;
    }
    const others = this.#loader.plugins.flatMap(({ produces }) =>
      produces.filter((other) => other.dataType === dataType),
    );
    const instead =
      others.length === 0
        ? ""
        : ` Or read one of these: ${listNames(new Set(others.map(({ producer }) => producer)))}.`;
    return `Declare the plugin that writes it: "type: ${producer}", or one named ${quote(producer)}.${instead}`;
  }
}

function hasKey(keys: readonly AttributeKey<unknown>[], key: AttributeKey<unknown>): boolean {
  return keys.some(({ id }) => id === key.id);
}
