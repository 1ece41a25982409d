import { type ASTNode, Environment, type ParseResult } from "@marcbachmann/cel-js";
import type { Usage } from "@pointsman/core";

/** Nodes and depth of an expression. With one level of iteration, this bounds what an evaluation costs. */
const limits = { maxAstNodes: 256, maxDepth: 32, maxListElements: 64, maxMapEntries: 64, maxCallArguments: 16 };
const iterations: ReadonlySet<string> = new Set(["all", "exists", "exists_one", "map", "filter"]);

/** Usage as expressions see it: numbers are doubles. */
export type UsageFields = Readonly<Record<string, number | Readonly<Record<string, number>>>>;

/** An expression that was checked, ready to be evaluated. */
export interface UsageExpression {
  /** The value for an answer; throws where the expression has none, such as for a field that is not there. */
  evaluate(usage: UsageFields): unknown;
}

/**
 * Compiles a CEL expression over the one variable `usage`.
 *
 * Throws with a message that names `what` and shows the place, if it is not CEL, cannot have a value of one of the types
 * `results`, or is too large. Evaluating costs at most some ten thousand steps.
 */
export function compileUsageExpression(what: string, text: string, results: readonly string[]): UsageExpression {
  const refuse = (reason: string): Error => new Error(`${what} is no valid CEL expression: ${reason}`);
  let parsed: ParseResult;
  try {
    parsed = environment().parse(text);
  } catch (thrown: unknown) {
    throw refuse(thrown instanceof Error ? thrown.message : String(thrown));
  }
  const problem = structureProblem(parsed.ast, false);
  if (problem !== undefined) throw refuse(problem);
  const check = parsed.check();
  if (!check.valid) throw refuse(check.error?.message ?? "its types do not fit");
  if (check.type !== undefined && check.type !== "dyn" && !results.includes(check.type)) {
    throw refuse(`its value is of type ${check.type}, not ${results.join(" or ")}`);
  }
  return { evaluate: (usage) => parsed({ usage }) };
}

/** Usage for {@link UsageExpression.evaluate}. What an answer does not count is 0; nothing is there when it counts nothing. */
export function usageFields(usage: Usage | undefined): UsageFields {
  if (usage === undefined) return {};
  const fields: UsageFields = {
    prompt_tokens: usage.promptTokens ?? 0,
    completion_tokens: usage.completionTokens ?? 0,
    total_tokens: usage.totalTokens ?? 0,
  };
  if (usage.cachedTokens === undefined) return fields;
  return { ...fields, prompt_tokens_details: { cached_tokens: usage.cachedTokens } };
}

function environment(): Environment {
  const created = new Environment({ limits }).registerVariable("usage", "dyn");
  // Counts are doubles, and people write whole numbers beside them.
  for (const [left, right] of [
    ["int", "double"],
    ["double", "int"],
  ] as const) {
    created
      .registerOperator(`${left} + ${right}`, (a: number | bigint, b: number | bigint) => Number(a) + Number(b))
      .registerOperator(`${left} - ${right}`, (a: number | bigint, b: number | bigint) => Number(a) - Number(b))
      .registerOperator(`${left} * ${right}`, (a: number | bigint, b: number | bigint) => Number(a) * Number(b))
      .registerOperator(`${left} / ${right}`, (a: number | bigint, b: number | bigint) => Number(a) / Number(b));
  }
  return created;
}

/** Says what makes an expression unbounded: iterations within iterations, and regular expressions. */
function structureProblem(node: ASTNode, within: boolean): string | undefined {
  let inIteration = within;
  if (node.op === "call" || node.op === "rcall") {
    const name = node.args[0];
    if (name === "matches") return "matches() is not supported: usage holds numbers";
    if (iterations.has(name)) {
      if (within) return `${name}() within another iteration is not supported`;
      inIteration = true;
    }
  }
  for (const child of childrenOf(node.args)) {
    const problem = structureProblem(child, inIteration);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** The nodes among a node's arguments, however nested in lists. */
function childrenOf(args: unknown): readonly ASTNode[] {
  if (Array.isArray(args)) return args.flatMap((one: unknown) => childrenOf(one));
  // Whatever has an operator is a node: literals are no objects, or hold none.
  return typeof args === "object" && args !== null && "op" in args ? [args as ASTNode] : [];
}
