import type { DocumentOptions, SchemaOptions, Tags } from "yaml";

/**
 * Scalars as Kubernetes tools read them: YAML 1.1 booleans (`yes`, `off`) and integers (`0777`, `1_000`), without the
 * rest of 1.1: `1:30` and `2001-01-01` are texts, and binary, set and ordered map tags do not exist.
 */
const keptTags = new Set(
  ["map", "seq", "str", "null", "bool", "int", "float"].map((name) => `tag:yaml.org,2002:${name}`),
);

/** Options for reading and writing YAML, so that what is written reads back as it was. */
export const yamlOptions: SchemaOptions & DocumentOptions = {
  version: "1.1",
  // Merge keys are resolved by the reader, which knows places and bounds.
  merge: false,
  resolveKnownTags: false,
  customTags: (tags: Tags): Tags =>
    tags.filter(
      (tag) => typeof tag !== "string" && keptTags.has(tag.tag) && !("format" in tag && tag.format === "TIME"),
    ),
};
