import type { InferenceModelRewrite, InferenceObjective, RewriteRule, RewriteTarget } from "@pointsman/core";
import { isMap, type Node, type YAMLMap } from "yaml";
import type { ListedObject } from "./endpoints-file.ts";
import { isEmpty, quoted } from "./file-notes.ts";
import type { ItemFields, ItemReader } from "./item-reader.ts";

const maxInt32 = 2 ** 31 - 1;
const maxWeight = 1_000_000;
/** Items of one list; longer ones are refused. */
const maxItems = 10_000;
const apiVersions = ["llm-d.ai/v1alpha2", "inference.networking.x-k8s.io/v1alpha2"];
const objectKeys = ["apiVersion", "kind", "metadata", "spec", "status"];

type ReadSpec<T> = (name: string, spec: ItemFields, at: YAMLMap, fields: ItemFields) => T | undefined;

/** The list `objectives`, each item an InferenceObjective; empty where it is not given, `undefined` for no list. */
export function readObjectives(
  root: ItemFields,
  reader: ItemReader,
): readonly ListedObject<InferenceObjective>[] | undefined {
  return readObjects(root, "objectives", "InferenceObjective", reader, (name, spec) => {
    reader.warnOfOtherKeys(spec, ["priority", "poolRef"]);
    return { name, priority: reader.integer(spec, "priority", -maxInt32 - 1, maxInt32) };
  });
}

/** The list `modelRewrites`, each item an InferenceModelRewrite; empty where it is not given, `undefined` for no list. */
export function readRewrites(
  root: ItemFields,
  reader: ItemReader,
): readonly ListedObject<InferenceModelRewrite>[] | undefined {
  let position = 0;
  return readObjects(root, "modelRewrites", "InferenceModelRewrite", reader, (name, spec, at, metadata) => {
    reader.warnOfOtherKeys(spec, ["rules", "poolRef"]);
    const createdAtMs = timeOf(metadata, reader);
    const rules = reader.list(spec, "rules");
    if (rules === undefined) return reader.missing(spec, "rules", at);
    return {
      name,
      createdAtMs,
      position: position++,
      rules: rules.flatMap((node) => readRule(node, at, reader) ?? []),
    };
  });
}

function readObjects<T>(
  root: ItemFields,
  key: string,
  kind: string,
  reader: ItemReader,
  readSpec: ReadSpec<T>,
): readonly ListedObject<T>[] | undefined {
  const { notes } = reader;
  const field = root.get(key);
  if (field === undefined || isEmpty(field.value)) return [];
  const nodes = reader.list(root, key);
  if (nodes === undefined) return undefined;
  if (nodes.length > maxItems) {
    notes.problem(field.keyNode, `${key} has ${nodes.length} items; at most ${maxItems} are possible`);
    return undefined;
  }
  const objects = nodes.map((node): ListedObject<T> => {
    if (!isMap(node)) {
      notes.problem(node ?? field.keyNode, `an item of ${key} must be a map with metadata and spec`);
      return { name: undefined, object: undefined };
    }
    const problemsBefore = notes.problemCount;
    const item = reader.fields.of(node);
    reader.warnOfOtherKeys(item, objectKeys);
    checkText(item, "kind", [kind], reader);
    checkText(item, "apiVersion", apiVersions, reader);
    const metadata = reader.map(item, "metadata") ?? reader.missing(item, "metadata", node);
    const spec = reader.map(item, "spec") ?? reader.missing(item, "spec", node);
    if (metadata === undefined) return { name: undefined, object: undefined };
    const name = reader.identifier(metadata, "name") ?? reader.missing(metadata, "name", node);
    const object = name === undefined || spec === undefined ? undefined : readSpec(name, spec, node, metadata);
    return { name, object: notes.problemCount > problemsBefore ? undefined : object };
  });
  reader.warnOfRepeatedIds(
    objects.map(({ name }) => name),
    nodes,
  );
  return objects;
}

function checkText(item: ItemFields, key: string, allowed: readonly string[], reader: ItemReader): void {
  const text = reader.text(item, key);
  if (text === undefined || allowed.includes(text)) return;
  reader.badField(item, key, `is ${quoted(text)}; expected here: ${allowed.join(", ")}`);
}

function timeOf(metadata: ItemFields, reader: ItemReader): number | undefined {
  const text = reader.text(metadata, "creationTimestamp");
  if (text === undefined) return undefined;
  const isRfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text);
  const timeMs = isRfc3339 ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(timeMs)) return timeMs;
  return reader.badField(metadata, "creationTimestamp", `is ${quoted(text)}; write it like 2026-01-31T12:00:00Z`);
}

function readRule(node: Node | undefined, list: Node, reader: ItemReader): RewriteRule | undefined {
  if (!isMap(node)) {
    reader.notes.problem(node ?? list, "a rule must be a map with matches and targets");
    return undefined;
  }
  const rule = reader.fields.of(node);
  reader.warnOfOtherKeys(rule, ["matches", "targets"]);
  const matches = reader.list(rule, "matches");
  const targets = reader.list(rule, "targets");
  if (targets?.length === 0) reader.badField(rule, "targets", "must not be empty");
  return {
    models:
      matches === undefined || matches.length === 0
        ? undefined
        : matches.flatMap((match) => readMatch(match, node, reader) ?? []),
    targets: (targets ?? []).flatMap((target) => readTarget(target, node, reader) ?? []),
  };
}

function readMatch(node: Node | undefined, rule: Node, reader: ItemReader): string | undefined {
  if (!isMap(node)) {
    reader.notes.problem(node ?? rule, "a match must be a map with model");
    return undefined;
  }
  const match = reader.fields.of(node);
  reader.warnOfOtherKeys(match, ["model"]);
  const model = reader.map(match, "model") ?? reader.missing(match, "model", node);
  if (model === undefined) return undefined;
  reader.warnOfOtherKeys(model, ["type", "value"]);
  checkText(model, "type", ["Exact"], reader);
  return reader.text(model, "value") ?? reader.missing(model, "value", node);
}

function readTarget(node: Node | undefined, rule: Node, reader: ItemReader): RewriteTarget | undefined {
  if (!isMap(node)) {
    reader.notes.problem(node ?? rule, "a target must be a map with modelRewrite");
    return undefined;
  }
  const target = reader.fields.of(node);
  reader.warnOfOtherKeys(target, ["modelRewrite", "weight"]);
  const model = reader.text(target, "modelRewrite") ?? reader.missing(target, "modelRewrite", node);
  const weight = reader.integer(target, "weight", 1, maxWeight);
  return model === undefined ? undefined : { model, weight };
}
