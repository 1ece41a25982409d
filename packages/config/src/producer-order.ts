import { type AttributeKey, hasRole, type Role } from "@pointsman/core";
import type { ProblemList } from "./config-problem.ts";
import { type CreatedPlugin, isCreated, type LoadedPlugin } from "./loaded-plugin.ts";
import { quote } from "./quote.ts";

/**
 * Puts producers into levels: each reads what earlier levels write, required and optional data alike. Within a level
 * the order is that of the list. A circle of required data is an error; a circle that optional data closes is broken
 * there, with a warning.
 */
export function producerLevels(
  plugins: readonly LoadedPlugin[],
  problems: ProblemList,
): readonly (readonly CreatedPlugin[])[] {
  const producers = plugins.filter(isCreated).filter(({ instance }) => hasRole(instance, "dataProducer"));
  // By text form: a plugin may bring its own copy of core, with key objects of its own.
  const writers = new Map<string, CreatedPlugin[]>();
  for (const plugin of producers) {
    for (const { id } of plugin.produces) writers.set(id, [...(writers.get(id) ?? []), plugin]);
  }
  const before = new Map<CreatedPlugin, Set<CreatedPlugin>>(producers.map((plugin) => [plugin, new Set()]));
  const link = (kind: "required" | "optional"): void => {
    for (const plugin of producers) {
      for (const key of plugin.consumes[kind] ?? []) {
        for (const writer of writers.get(key.id) ?? []) {
          if (writer === plugin || before.get(plugin)?.has(writer) === true) continue;
          const circle = wayBetween(writer, plugin, before);
          if (circle === undefined) before.get(plugin)?.add(writer);
          else reportCircle(kind, plugin, key, circle, problems);
        }
      }
    }
  };
  link("required");
  link("optional");

  const levels: CreatedPlugin[][] = [];
  const placed = new Set<CreatedPlugin>();
  while (placed.size < producers.length) {
    const level = producers.filter(
      (plugin) => !placed.has(plugin) && [...(before.get(plugin) ?? [])].every((writer) => placed.has(writer)),
    );
    for (const plugin of level) placed.add(plugin);
    levels.push(level);
  }
  return levels;
}

/** The chain from `start` to `end`, each waiting for the next; `undefined` when there is none. */
function wayBetween(
  start: CreatedPlugin,
  end: CreatedPlugin,
  before: ReadonlyMap<CreatedPlugin, ReadonlySet<CreatedPlugin>>,
): readonly CreatedPlugin[] | undefined {
  const cameFrom = new Map<CreatedPlugin, CreatedPlugin | undefined>([[start, undefined]]);
  const open = [start];
  for (let plugin = open.shift(); plugin !== undefined; plugin = open.shift()) {
    if (plugin === end) {
      const way: CreatedPlugin[] = [];
      for (let at: CreatedPlugin | undefined = plugin; at !== undefined; at = cameFrom.get(at)) way.unshift(at);
      return way;
    }
    for (const next of before.get(plugin) ?? []) {
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, plugin);
      open.push(next);
    }
  }
  return undefined;
}

function reportCircle(
  kind: "required" | "optional",
  plugin: CreatedPlugin,
  key: AttributeKey<unknown>,
  circle: readonly CreatedPlugin[],
  problems: ProblemList,
): void {
  const names = [plugin, ...circle].map(({ name }) => name).join(" -> ");
  if (kind === "required") {
    problems.add(
      "EPP_CONFIG_DATA_CYCLE",
      plugin.at,
      `Producers wait for each other's data: ${names}. ${plugin.label} needs ${key.id}.`,
      "Configure one of them to use other data.",
    );
    return;
  }
  problems.add(
    "EPP_CONFIG_DATA_CYCLE_BROKEN",
    plugin.at,
    `Producers use each other's data: ${names}. ${plugin.label} runs first, without ${key.id}.`,
    "Configure one of them to use other data if the order matters.",
  );
}

/** Steps of a request's way in which plugins read and write data of the request. */
const stepOfRole: readonly (readonly [role: Role, step: number])[] = [
  ["requestHeaderProcessor", 0],
  ["saturationDetector", 1],
  ["screener", 2],
  ["dataProducer", 3],
  ["admitter", 4],
  ["profileHandler", 5],
  ["filter", 5],
  ["scorer", 5],
  ["picker", 5],
  ["preRequest", 6],
  ["responseHeaderProcessor", 7],
  ["responseBodyProcessor", 8],
];

/** Reports required data of the request that is written only after the last step in which its reader acts. */
export function checkDataInTime(active: readonly LoadedPlugin[], problems: ProblemList): void {
  const created = active.filter(isCreated);
  const firstWritten = new Map<string, { readonly step: number; readonly writer: CreatedPlugin }>();
  for (const writer of created) {
    const step = Math.min(...stepsOf(writer));
    for (const { id } of writer.produces) {
      const known = firstWritten.get(id);
      if (known === undefined || step < known.step) firstWritten.set(id, { step, writer });
    }
  }
  for (const plugin of created) {
    const steps = stepsOf(plugin);
    if (steps.length === 0) continue;
    for (const key of plugin.consumes.required ?? []) {
      const written = firstWritten.get(key.id);
      if (key.scope !== "request" || written === undefined || !Number.isFinite(written.step)) continue;
      if (written.step <= Math.max(...steps)) continue;
      problems.add(
        "EPP_CONFIG_DATA_TOO_LATE",
        plugin.at,
        `${plugin.label} needs ${key.id}, which ${quote(written.writer.name)} writes in a later step of a request.`,
        "Use a plugin that acts later, or a producer that acts earlier.",
      );
    }
  }
}

function stepsOf(plugin: CreatedPlugin): readonly number[] {
  return stepOfRole.filter(([role]) => hasRole(plugin.instance, role)).map(([, step]) => step);
}
