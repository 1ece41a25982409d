import type { ProblemList } from "./config-problem.ts";
import type { LoadedPlugin } from "./loaded-plugin.ts";

/**
 * Orders plugins so that each comes after those its parameters refer to, otherwise as given. Plugins of a circle are
 * reported, once for each circle, and left out.
 */
export function orderByReferences(plugins: readonly LoadedPlugin[], problems: ProblemList): readonly LoadedPlugin[] {
  const byName = new Map(plugins.map((plugin) => [plugin.name, plugin]));
  const ordered: LoadedPlugin[] = [];
  const done = new Set<LoadedPlugin>();
  const inCircle = new Set<LoadedPlugin>();
  const way: LoadedPlugin[] = [];

  const visit = (plugin: LoadedPlugin): void => {
    if (done.has(plugin)) return;
    way.push(plugin);
    for (const reference of plugin.references) {
      const target = byName.get(reference.value);
      if (target === undefined) continue;
      const start = way.indexOf(target);
      if (start === -1) {
        visit(target);
        continue;
      }
      const circle = way.slice(start);
      for (const member of circle) inCircle.add(member);
      problems.add(
        "EPP_CONFIG_REF_CYCLE",
        reference.at,
        `Plugins refer to each other in a circle: ${[...circle, target].map(({ name }) => name).join(" -> ")}.`,
        "Remove one of the references.",
      );
    }
    way.pop();
    done.add(plugin);
    if (!inCircle.has(plugin)) ordered.push(plugin);
  };
  for (const plugin of plugins) visit(plugin);
  return ordered;
}
