/** What a requirement asks of a label. */
type Operator = "in" | "notin" | "exists" | "absent" | "greater" | "less";

interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: ReadonlySet<string>;
}

/** A selector in the string form of Kubernetes: every requirement must hold. */
export type LabelSelector = readonly Requirement[];

const maxSelectorChars = 4096;
const name = "[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?";
const keyPattern = new RegExp(`^(?:(?=[^/]{1,253}/)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?${name}$`);
const valuePattern = new RegExp(`^(?:${name})?$`);
const setForm = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/;
const equalityForm = /^([^\s=!<>(),]+)\s*(==|=|!=|>|<)\s*([^\s=!<>(),]*)$/;
const existsForm = /^(!?)\s*([^\s=!<>(),]+)$/;

/**
 * Reads a label selector such as `app=x,tier in (a, b),!old`. Returns what is wrong with it as a string.
 *
 * An absent label meets `!=`, `notin` and `!key`, as in Kubernetes.
 */
export function parseLabelSelector(text: string): LabelSelector | string {
  if (text.length > maxSelectorChars) return `is longer than ${maxSelectorChars} characters`;
  const requirements: Requirement[] = [];
  for (const part of topLevelParts(text)) {
    const requirement = parseRequirement(part.trim());
    if (typeof requirement === "string") return requirement;
    requirements.push(requirement);
  }
  return requirements;
}

/** Tells whether labels meet a selector. */
export function selectsLabels(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  return selector.every((requirement) => holds(requirement, labels));
}

function holds({ key, operator, values }: Requirement, labels: Readonly<Record<string, string>>): boolean {
  // Own properties only: a key such as "constructor" is a valid label.
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "in":
      return value !== undefined && values.has(value);
    case "notin":
      return value === undefined || !values.has(value);
    case "exists":
      return value !== undefined;
    case "absent":
      return value === undefined;
    case "greater":
    case "less":
      return value !== undefined && compares(value, operator, values);
  }
}

function compares(value: string, operator: "greater" | "less", values: ReadonlySet<string>): boolean {
  if (!/^-?\d{1,15}$/.test(value)) return false;
  for (const bound of values)
    return operator === "greater" ? Number(value) > Number(bound) : Number(value) < Number(bound);
  return false;
}

/** Splits at the commas outside of parentheses. */
function topLevelParts(text: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "(") depth++;
    else if (char === ")") depth--;
    else if (char === "," && depth === 0) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function parseRequirement(part: string): Requirement | string {
  const set = setForm.exec(part);
  if (set !== null) {
    const values = set[3]!.split(",").map((value) => value.trim());
    return checked(set[1]!, set[2] === "in" ? "in" : "notin", values);
  }
  const equality = equalityForm.exec(part);
  if (equality !== null) {
    const [, key, sign, value] = equality;
    if (sign === ">" || sign === "<") {
      if (!/^-?\d{1,15}$/.test(value!)) return `compares with ${quoted(value!)}, which is no integer`;
      return checked(key!, sign === ">" ? "greater" : "less", [value!]);
    }
    return checked(key!, sign === "!=" ? "notin" : "in", [value!]);
  }
  const exists = existsForm.exec(part);
  if (exists !== null) return checked(exists[2]!, exists[1] === "!" ? "absent" : "exists", []);
  return part === "" ? "has an empty requirement" : `has a requirement that cannot be read: ${quoted(part)}`;
}

function checked(key: string, operator: Operator, values: readonly string[]): Requirement | string {
  if (!keyPattern.test(key)) return `has ${quoted(key)} where a label key belongs`;
  const comparison = operator === "greater" || operator === "less";
  const wrong = comparison ? undefined : values.find((value) => !valuePattern.test(value));
  if (wrong !== undefined) return `has ${quoted(wrong)} where a label value belongs`;
  return { key, operator, values: new Set(values) };
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
