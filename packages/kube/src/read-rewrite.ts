import type { InferenceModelRewrite, RewriteRule, RewriteTarget } from "@pointsman/core";
import { asInteger, asList, asRecord, asText, isRecord, type JsonRecord } from "./json-value.ts";

/** Rules of one object, and matches or targets of one rule, that are read. */
const maxItems = 1024;
const maxWeight = 1_000_000;

/**
 * Reads an InferenceModelRewrite. A rule whose matches all lack a model applies to nothing, and so does one that is no
 * rule or whose matches are no list: taken for a rule without matches, it would apply to every request.
 */
export function readRewrite(name: string, object: JsonRecord): InferenceModelRewrite {
  const createdAtMs = Date.parse(asText(asRecord(object["metadata"])["creationTimestamp"]) ?? "");
  const rules = asList(asRecord(object["spec"])["rules"]).slice(0, maxItems);
  return { name, createdAtMs: Number.isNaN(createdAtMs) ? undefined : createdAtMs, rules: rules.map(readRule) };
}

function readRule(given: unknown): RewriteRule {
  const rule = asRecord(given);
  const matches = asList(rule["matches"]).slice(0, maxItems);
  const models = matches.flatMap((match) => asText(asRecord(asRecord(match)["model"])["value"]) ?? []);
  return {
    models: isForAll(given) ? undefined : models,
    targets: asList(rule["targets"]).slice(0, maxItems).map(readTarget),
  };
}

function isForAll(rule: unknown): boolean {
  if (!isRecord(rule)) return false;
  const matches = rule["matches"] ?? [];
  return Array.isArray(matches) && matches.length === 0;
}

function readTarget(given: unknown): RewriteTarget {
  const target = asRecord(given);
  const weight = asInteger(target["weight"]);
  return {
    model: asText(target["modelRewrite"]) ?? "",
    weight: weight !== undefined && weight >= 1 && weight <= maxWeight ? weight : undefined,
  };
}
