/** One parameter of a plugin, as its JSON Schema tells it. */
export interface ParameterRow {
  /** Name; inside objects `outer.inner`, inside lists of objects `list[].inner`. */
  readonly path: string;
  readonly type: string;
  /** The default as it stands in a configuration file, `required`, or `none` for an optional parameter without one. */
  readonly defaultText: string;
  readonly meaning: string;
}

type Schema = Readonly<Record<string, unknown>>;

/** Lists the parameters of a JSON Schema object in its order, nested ones after the one that holds them. */
export function parameterRows(schema: Schema, prefix: string = ""): readonly ParameterRow[] {
  const required = new Set(Array.isArray(schema["required"]) ? schema["required"] : []);
  const rows: ParameterRow[] = [];
  for (const [name, property] of Object.entries(objectOf(schema["properties"]))) {
    const inner = objectOf(property);
    const path = prefix + name;
    rows.push({
      path,
      type: typeText(inner),
      defaultText: "default" in inner ? valueText(inner["default"]) : required.has(name) ? "required" : "none",
      meaning: typeof inner["description"] === "string" ? inner["description"] : "",
    });
    rows.push(...parameterRows(inner, `${path}.`));
    rows.push(...parameterRows(objectOf(inner["items"]), `${path}[].`));
  }
  return rows;
}

/** Renders parameters as a Markdown table with the columns Parameter, Type, Default and Meaning, padded to equal width. */
export function parametersTable(rows: readonly ParameterRow[]): string {
  const cells = [
    ["Parameter", "Type", "Default", "Meaning"],
    ...rows.map(({ path, type, defaultText, meaning }) => [
      code(path),
      cell(type),
      defaultText === "required" || defaultText === "none" ? defaultText : code(defaultText),
      cell(meaning),
    ]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  const lines = cells.map((line) => `| ${line.map((text, column) => text.padEnd(widths[column]!)).join(" | ")} |`);
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [lines[0]!, rule, ...lines.slice(1)].join("\n");
}

function typeText(schema: Schema): string {
  const { type, unit } = schema;
  const suffix = typeof unit === "string" ? `, ${unit}` : "";
  const choices = schema["anyOf"] ?? schema["oneOf"];
  if (Array.isArray(choices)) return choices.map((choice) => typeText(objectOf(choice))).join(" or ") + suffix;
  if (Array.isArray(schema["enum"]))
    return `one of ${schema["enum"].map((value) => code(valueText(value))).join(", ")}`;
  if ("const" in schema) return code(valueText(schema["const"]));
  if (type === "array") return `list of ${typeText(objectOf(schema["items"]))}`;
  if (type === "object" && schema["properties"] === undefined) {
    const values = objectOf(schema["additionalProperties"]);
    return "type" in values ? `map of ${typeText(values)}` : "map";
  }
  if (type === "integer" || type === "number") return type + rangeText(schema) + suffix;
  return (typeof type === "string" ? type : "any") + suffix;
}

function rangeText(schema: Schema): string {
  const bounds: string[] = [];
  const add = (sign: string, bound: unknown): void => {
    // An integer's schema carries the range of safe integers where its author set none.
    if (typeof bound === "number" && Math.abs(bound) !== Number.MAX_SAFE_INTEGER) bounds.push(`${sign} ${bound}`);
  };
  add(">", schema["exclusiveMinimum"]);
  add("≥", schema["minimum"]);
  add("<", schema["exclusiveMaximum"]);
  add("≤", schema["maximum"]);
  return bounds.length === 0 ? "" : ` ${bounds.join(", ")}`;
}

function valueText(value: unknown): string {
  return typeof value === "string" && value !== "" ? value : JSON.stringify(value);
}

function code(text: string): string {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function objectOf(value: unknown): Schema {
  // Whatever is no object has no parameters.
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Schema) : {};
}
