import { printable, quote } from "./quote.ts";

/** A JSON Schema as it came from a plugin: nothing about it is certain. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** What a schema says about a map. */
export interface ObjectShape {
  readonly properties: ReadonlyMap<string, JsonSchema>;
  /** Schema of values under other keys; `undefined`: no other keys exist. */
  readonly others: JsonSchema | undefined;
}

/** A chain of references longer than this leads nowhere. */
const maxReferences = 16;

/** Answers questions about the JSON Schema of a plugin's parameters. */
export class ParameterSchema {
  readonly root: JsonSchema;

  constructor(root: JsonSchema) {
    this.root = root;
  }

  /**
   * What maps of this schema look like, `undefined` when it says nothing about maps. Alternatives are taken together.
   * A schema that lists properties and is silent about others has no others: a misspelled parameter is never dropped
   * in silence.
   */
  objectShape(schema: JsonSchema): ObjectShape | undefined {
    const properties = new Map<string, JsonSchema>();
    let others: JsonSchema | undefined;
    let found = false;
    for (const branch of this.branches(schema)) {
      const listed = asSchema(branch["properties"]);
      const additional = branch["additionalProperties"];
      if (listed === undefined && additional === undefined && branch["type"] !== "object") continue;
      found = true;
      for (const [name, property] of Object.entries(listed ?? {})) {
        if (!properties.has(name)) properties.set(name, asSchema(property) ?? {});
      }
      if (typeof additional === "object" && additional !== null) others ??= additional as JsonSchema;
      else if (additional === true || branch["patternProperties"] !== undefined) others ??= {};
      else if (listed === undefined && additional === undefined) others ??= {};
    }
    return found ? { properties, others } : undefined;
  }

  /** Schema of the item at `index` of lists, empty where nothing is said. */
  itemSchema(schema: JsonSchema, index: number): JsonSchema {
    for (const branch of this.branches(schema)) {
      const prefix = branch["prefixItems"];
      const item = Array.isArray(prefix) && index < prefix.length ? prefix[index] : branch["items"];
      const found = asSchema(item);
      if (found !== undefined) return found;
    }
    return {};
  }

  /** Whether `null` may be a value of its own. */
  admitsNull(schema: JsonSchema): boolean {
    return this.branches(schema).some((branch) => {
      const { type, const: constant, enum: values } = branch as { type?: unknown; const?: unknown; enum?: unknown };
      if (Array.isArray(values)) return values.includes(null);
      if ("const" in branch) return constant === null;
      return type === undefined || type === "null" || (Array.isArray(type) && type.includes("null"));
    });
  }

  /** The schema at the end of a path of keys and indices, empty where nothing is said. */
  at(path: readonly (string | number)[]): JsonSchema {
    let schema = this.root;
    for (const step of path) {
      if (typeof step === "number") schema = this.itemSchema(schema, step);
      else {
        const shape = this.objectShape(schema);
        schema = shape?.properties.get(step) ?? shape?.others ?? {};
      }
    }
    return schema;
  }

  /** Says what values are allowed: type, range, unit, default. Empty where nothing is known. */
  describe(schema: JsonSchema): string {
    const forms = new Set(
      this.branches(schema)
        .map((branch) => describeBranch(branch))
        .filter((form) => form !== ""),
    );
    const parts = forms.size === 0 ? [] : [[...forms].join(" or ")];
    const own = { ...this.#dereference(schema), ...schema };
    if (typeof own["unit"] === "string") parts.push(printable(own["unit"]));
    if (own["default"] !== undefined) parts.push(`default ${quote(own["default"])}`);
    return parts.join(", ");
  }

  /** The schema with references followed, split into its alternatives and parts. */
  branches(schema: JsonSchema, seen: Set<JsonSchema> = new Set()): readonly JsonSchema[] {
    const target = this.#dereference(schema);
    if (seen.has(target)) return [];
    seen.add(target);
    const split = ["anyOf", "oneOf", "allOf"].flatMap((keyword) => {
      const parts = target[keyword];
      return Array.isArray(parts) ? parts.map(asSchema).filter((part) => part !== undefined) : [];
    });
    if (split.length === 0) return [target];
    const inner = split.flatMap((part) => this.branches(part, seen));
    return target["properties"] === undefined ? inner : [target, ...inner];
  }

  #dereference(schema: JsonSchema): JsonSchema {
    let target = schema;
    for (let depth = 0; depth < maxReferences; depth++) {
      const reference = target["$ref"];
      if (typeof reference !== "string" || !reference.startsWith("#")) return target;
      let found: JsonSchema | undefined = this.root;
      for (const step of reference.slice(1).split("/").slice(1)) {
        const key = decodeURIComponentOrSame(step).replaceAll("~1", "/").replaceAll("~0", "~");
        found = found === undefined || !Object.hasOwn(found, key) ? undefined : asSchema(found[key]);
      }
      if (found === undefined) return target;
      target = found;
    }
    return target;
  }
}

function asSchema(value: unknown): JsonSchema | undefined {
  // A plain object: which keywords it has is asked one by one.
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonSchema) : undefined;
}

function decodeURIComponentOrSame(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function describeBranch(branch: JsonSchema): string {
  const { enum: values, type } = branch as { enum?: unknown; type?: unknown };
  if (Array.isArray(values)) return `one of ${values.map(quote).join(", ")}`;
  if ("const" in branch) return quote(branch["const"]);
  if (Array.isArray(type)) return type.map((one) => describeBranch({ ...branch, type: one })).join(" or ");
  if (type === "integer" || type === "number") return `${type}${describeRange(branch)}`;
  if (type === "string")
    return typeof branch["pattern"] === "string" ? `text like ${quote(branch["pattern"])}` : "text";
  if (type === "boolean") return "true or false";
  if (type === "array") return "list";
  if (type === "object") return "map";
  return typeof type === "string" ? type : "";
}

function describeRange(branch: JsonSchema): string {
  const bounds: readonly (readonly [keyword: string, sign: string])[] = [
    ["exclusiveMinimum", ">"],
    ["minimum", ">="],
    ["exclusiveMaximum", "<"],
    ["maximum", "<="],
  ];
  const shown = bounds.flatMap(([keyword, sign]) => {
    const bound = branch[keyword];
    // Bounds that only say "fits a double" tell a reader nothing.
    if (typeof bound !== "number" || Math.abs(bound) >= Number.MAX_SAFE_INTEGER) return [];
    return [`${sign} ${bound}`];
  });
  return shown.length === 0 ? "" : ` ${shown.join(" and ")}`;
}
