/** What a metrics page shows of one metric. */
export interface PageFamily {
  readonly type: string;
  /** Label names of each series, sorted; without `le`. One text for each different set. */
  readonly labelSets: Set<string>;
  /** Upper bounds of the buckets, without +Inf; one text for each different list. */
  readonly bucketLists: Set<string>;
  /** Values of counters and gauges, observations of histograms, by label text. */
  readonly values: Map<string, number>;
}

/** Reads a page in Prometheus text format by metric name. Throws for a line that is none. */
export function readMetricsPage(text: string): ReadonlyMap<string, PageFamily> {
  const families = new Map<string, PageFamily>();
  const bounds = new Map<string, Map<string, string[]>>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("# HELP ")) continue;
    const declared = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (declared !== null) {
      const [, name = "", type = ""] = declared;
      families.set(name, { type, labelSets: new Set(), bucketLists: new Set(), values: new Map() });
      continue;
    }
    const sample = /^([^\s{]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (sample === null) throw new Error(`no line of a metrics page: ${line}`);
    const [, sampleName = "", labelText = "", value = ""] = sample;
    const name = families.has(sampleName) ? sampleName : sampleName.replace(/_(bucket|sum|count)$/, "");
    const family = families.get(name);
    if (family === undefined) throw new Error(`a sample without a TYPE line: ${line}`);
    const pairs = [...labelText.matchAll(/([a-zA-Z_]\w*)="((?:\\.|[^"\\])*)"/g)];
    const own = pairs.filter(([, label]) => label !== "le");
    const series = own.map(([pair]) => pair).join(",");
    family.labelSets.add(
      own
        .map(([, label]) => label)
        .sort()
        .join(","),
    );
    if (sampleName.endsWith("_bucket") && family.type === "histogram") {
      const bound = pairs.find(([, label]) => label === "le")?.[2] ?? "";
      const ofFamily = bounds.get(name) ?? new Map<string, string[]>();
      bounds.set(name, ofFamily);
      const list = ofFamily.get(series) ?? [];
      ofFamily.set(series, list);
      if (bound !== "+Inf") list.push(bound);
    } else if (family.type !== "histogram" || sampleName.endsWith("_count")) {
      family.values.set(series, Number(value));
    }
  }
  for (const [name, ofFamily] of bounds) {
    for (const list of ofFamily.values()) families.get(name)!.bucketLists.add(list.join(","));
  }
  return families;
}
