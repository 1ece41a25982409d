import { z } from "zod";

/** What a requirement asks of a label. */
export type LabelOperator = "In" | "NotIn" | "Exists" | "DoesNotExist";

/** One line of a selector: a label and what it must be. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** At least one for `In` and `NotIn`, none for the others. */
  readonly values: readonly string[];
}

/** A Kubernetes LabelSelector: all of it must hold. */
export interface LabelSelectorParams {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly LabelRequirement[];
}

const maxNameChars = 63;
const maxPrefixChars = 253;
const namePattern = /^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/;
const prefixPattern = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const nameRule = `letters, digits, "-", "_" and ".", with a letter or digit at both ends`;

/** Says what is wrong with a label key by the rules of Kubernetes: `name` or `prefix/name`. */
export function labelKeyProblem(key: string): string | undefined {
  const slash = key.indexOf("/");
  const name = key.slice(slash + 1);
  if (slash !== -1) {
    const prefix = key.slice(0, slash);
    if (prefix.length > maxPrefixChars || !prefixPattern.test(prefix)) {
      return `${quoted(key)} is no label key: before "/" stands a lower-case DNS name of 1 to ${maxPrefixChars} characters`;
    }
  }
  if (name.length > maxNameChars || !namePattern.test(name)) {
    const where = slash === -1 ? "the key" : `the part after "/"`;
    return `${quoted(key)} is no label key: ${where} has 1 to ${maxNameChars} characters: ${nameRule}`;
  }
  return undefined;
}

/** Says what is wrong with a label value by the rules of Kubernetes. The empty value is valid. */
export function labelValueProblem(value: string): string | undefined {
  if (value === "" || (value.length <= maxNameChars && namePattern.test(value))) return undefined;
  return `${quoted(value)} is no label value: it has at most ${maxNameChars} characters: ${nameRule}`;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

const labelText = z.string({ error: "must be text: put it in quotes" });

const labelKey = labelText.superRefine((key, context) => {
  const problem = labelKeyProblem(key);
  if (problem !== undefined) context.addIssue(problem);
});

const labelValue = labelText.superRefine((value, context) => {
  const problem = labelValueProblem(value);
  if (problem !== undefined) context.addIssue(problem);
});

const matchLabels = z.record(labelKey, labelValue, {
  // A key's own problem says more than that the key is invalid.
  error: (issue) => (issue.code === "invalid_key" ? issue.issues[0]?.message : undefined),
});

const requirement = z
  .strictObject({
    key: labelKey.describe("Label key, as `name` or `prefix/name`."),
    operator: z
      .enum(["In", "NotIn", "Exists", "DoesNotExist"])
      .describe("What must hold. `NotIn` also holds where the label is absent."),
    values: z
      .array(labelValue)
      .default([])
      .describe("Values for `In` and `NotIn`; none for `Exists` and `DoesNotExist`."),
  })
  .superRefine(({ operator, values }, context) => {
    const takesValues = operator === "In" || operator === "NotIn";
    if (takesValues && values.length === 0) {
      context.addIssue({ code: "custom", message: `operator ${operator} needs at least one value`, path: ["values"] });
    }
    if (!takesValues && values.length > 0) {
      context.addIssue({ code: "custom", message: `operator ${operator} takes no values`, path: ["values"] });
    }
  });

export const labelSelectorParams: z.ZodType<LabelSelectorParams> = z.strictObject({
  matchLabels: matchLabels.default({}).describe("Labels an endpoint must have, with these values."),
  matchExpressions: z.array(requirement).default([]).describe("Further requirements; each must hold."),
});
