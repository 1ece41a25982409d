/** A query of a dashboard's panel. */
export interface DashboardQuery {
  readonly panel: string;
  readonly promql: string;
  readonly legend: string;
}

interface GrafanaPanel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

/** The queries of a dashboard's panels, and of its variables. */
export function queriesOf(text: string): readonly DashboardQuery[] {
  const { panels, templating } = JSON.parse(text) as {
    readonly panels: readonly GrafanaPanel[];
    readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
  };
  return [
    ...panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr, legendFormat }) => ({ panel: title, promql: expr, legend: legendFormat })),
    ),
    ...templating.list.flatMap(({ name, definition }) => {
      const values = /^label_values\((\w+), \w+\)$/.exec(definition ?? "");
      return values === null ? [] : [{ panel: `variable ${name}`, promql: values[1]!, legend: "" }];
    }),
  ];
}

/** Labels that Prometheus adds. */
const targetLabels: ReadonlySet<string> = new Set(["job", "instance"]);
/** Words of PromQL with a parenthesis behind them that are not functions. */
const grouping = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;

/**
 * The metrics that a query reads, each with the labels that it must have: those of its own matchers, of all groupings of
 * the query and of the legend. Labels that Prometheus adds to every series are left out.
 */
export function usedMetrics(
  promql: string,
  legend: string,
): readonly { readonly metric: string; readonly labels: readonly string[] }[] {
  const ofQuery = [...legend.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map(([, label = ""]) => label);
  const rest = promql.replace(grouping, (_, labels: string) => {
    ofQuery.push(...labels.split(",").map((label) => label.trim()));
    return " ";
  });
  const found: { metric: string; labels: string[] }[] = [];
  // A name, its matchers, its range; a parenthesis behind a name makes it a function.
  for (const [, name = "", matchers = ""] of rest
    .replace(/\[[^\]]*\]/g, " ")
    .matchAll(/\b([a-zA-Z_:][\w:]*)\b(?!\s*\()(?:\{([^}]*)\})?/g)) {
    const own = [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = ""]) => label);
    const all = new Set([...own, ...ofQuery].filter((label) => !targetLabels.has(label)));
    if (!name.endsWith("_bucket")) all.delete("le");
    found.push({ metric: name, labels: [...all].sort() });
  }
  return found;
}
