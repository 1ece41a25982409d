/** A panel of a dashboard. */
export interface Panel {
  readonly title: string;
  /** What the figure tells, for people. */
  readonly description: string;
  /** Grafana's name of the unit. */
  readonly unit: string;
  readonly kind?: "timeseries" | "stat";
  readonly queries: readonly (readonly [promql: string, legend: string])[];
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly rows: readonly Row[];
}

const datasource = { type: "prometheus", uid: "$datasource" } as const;
const [panelsInRow, panelWidth, panelHeight] = [3, 8, 8];

/** A dashboard as Grafana imports it. */
export function dashboardJson({ uid, title, rows }: Dashboard): string {
  const panels: unknown[] = [];
  let y = 0;
  for (const row of rows) {
    panels.push({
      id: panels.length + 1,
      type: "row",
      title: row.title,
      collapsed: false,
      gridPos: { h: 1, w: 24, x: 0, y },
      panels: [],
    });
    y += 1;
    for (const [at, panel] of row.panels.entries()) {
      const [x, line] = [(at % panelsInRow) * panelWidth, Math.floor(at / panelsInRow)];
      panels.push(panelJson(panel, panels.length + 1, { h: panelHeight, w: panelWidth, x, y: y + line * panelHeight }));
    }
    y += Math.ceil(row.panels.length / panelsInRow) * panelHeight;
  }
  const dashboard = {
    uid,
    title,
    tags: ["pointsman"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    timezone: "browser",
    annotations: { list: [] },
    links: [{ type: "dashboards", title: "Pointsman", tags: ["pointsman"], asDropdown: true, keepTime: true }],
    templating: {
      list: [
        { name: "datasource", label: "Data source", type: "datasource", query: "prometheus", refresh: 1, hide: 0 },
        {
          name: "job",
          label: "Picker",
          type: "query",
          datasource,
          definition: "label_values(llm_d_epp_info, job)",
          query: { query: "label_values(llm_d_epp_info, job)", refId: "job" },
          refresh: 2,
          includeAll: true,
          multi: true,
          current: { selected: true, text: "All", value: "$__all" },
        },
      ],
    },
    panels,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

function panelJson(
  { title, description, unit, kind = "timeseries", queries }: Panel,
  id: number,
  gridPos: unknown,
): unknown {
  return {
    id,
    type: kind,
    title,
    description,
    datasource,
    gridPos,
    fieldConfig: {
      defaults: { unit, min: 0, ...(kind === "timeseries" ? { custom: { fillOpacity: 8, showPoints: "never" } } : {}) },
      overrides: [],
    },
    options:
      kind === "stat"
        ? { reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false }, textMode: "auto" }
        : { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } },
    targets: queries.map(([expr, legendFormat], at) => ({
      refId: String.fromCharCode(65 + at),
      datasource,
      expr,
      legendFormat,
    })),
  };
}
