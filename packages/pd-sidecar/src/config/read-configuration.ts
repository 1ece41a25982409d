import { errorText, nearestName } from "@pointsman/core";
import { isMap, isScalar, LineCounter, parseDocument } from "yaml";
import { type FlagSpec, flagTable } from "./flag-table.ts";
import type { GivenTexts } from "./parse-arguments.ts";

export interface ReadConfiguration {
  readonly given: GivenTexts;
  readonly problems: readonly string[];
}

const prefix = "failed to unmarshal sidecar configuration";

/**
 * Reads a configuration in YAML or JSON: its keys are the names of flags. `name` says where it is from. Zero and empty
 * values mean "not given", but for booleans and `prefill-max-retries`. All problems are collected.
 */
export function readConfiguration(text: string, name: string): ReadConfiguration {
  const given = new Map<string, readonly string[]>();
  const problems: string[] = [];
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const placeOf = (offset: number): string => {
    const { line, col } = lineCounter.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  for (const error of document.errors) problems.push(`${prefix}: ${placeOf(error.pos[0])}: ${error.message}`);
  if (problems.length > 0) return { given, problems };
  let root: unknown;
  try {
    root = document.toJS({ maxAliasCount: 100 });
  } catch (thrown: unknown) {
    return { given, problems: [`${prefix}: ${name}: ${errorText(thrown)}`] };
  }
  if (root === null || root === undefined) return { given, problems };
  if (typeof root !== "object" || Array.isArray(root)) {
    return { given, problems: [`${prefix}: ${name}: is no map of settings`] };
  }
  const specs = new Map(flagTable.filter((spec) => spec.flagOnly !== true).map((spec) => [spec.name, spec]));
  const offsets = new Map<string, number>();
  for (const { key } of isMap(document.contents) ? document.contents.items : []) {
    if (isScalar(key) && key.range) offsets.set(String(key.value), key.range[0]);
  }
  for (const [key, value] of Object.entries(root)) {
    const spec = specs.get(key);
    const offset = offsets.get(key);
    const place = offset === undefined ? name : placeOf(offset);
    if (spec === undefined) {
      const near = nearestName(key, [...specs.keys()]);
      const hint = near === undefined ? "" : `; did you mean "${near}"?`;
      problems.push(`${prefix}: ${place}: unknown field ${JSON.stringify(key.slice(0, 64))}${hint}`);
    } else if (spec.removed !== undefined) {
      problems.push(`${prefix}: ${place}: "${key}" was removed: ${spec.removed}`);
    } else {
      const texts = textsOf(spec, value);
      if (typeof texts === "string") problems.push(`${prefix}: ${place}: "${key}" ${texts}`);
      else if (texts !== undefined) given.set(key, texts);
    }
  }
  return { given, problems };
}

/** Texts as flags would have them; undefined when the value means "not given"; a text when it is of the wrong kind. */
function textsOf(spec: FlagSpec, value: unknown): readonly string[] | string | undefined {
  if (value === null || value === undefined) return undefined;
  if (spec.kind === "boolean") return typeof value === "boolean" ? [String(value)] : "must be true or false";
  if (spec.kind === "list") {
    if (!Array.isArray(value) || !value.every((each) => typeof each === "string")) return "must be a list of texts";
    return value.length === 0 ? undefined : [value.join(",")];
  }
  if (spec.kind === "integer" || spec.yamlInteger === true) {
    if (typeof value !== "number" || !Number.isInteger(value)) return "must be a whole number";
    return value === 0 && spec.name !== "prefill-max-retries" ? undefined : [String(value)];
  }
  if (typeof value !== "string") return "must be a text";
  return value === "" ? undefined : [value];
}
