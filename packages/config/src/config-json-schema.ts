import type { AnyPluginDefinition } from "@pointsman/core";
import { featureGateDefaults } from "./feature-gates.ts";
import { configApiVersion, configKind } from "./read-config.ts";

/** A JSON Schema document. */
export type JsonSchemaObject = { readonly [keyword: string]: unknown };

/**
 * Makes the JSON Schema (draft 2020-12) of configuration files that use these plugins, for editors: fields, plugin
 * types, and the parameters of each type with their defaults and descriptions. Types outside of `definitions` are
 * accepted with any parameters.
 */
export function configJsonSchema(definitions: Iterable<AnyPluginDefinition>): JsonSchemaObject {
  const all = [...definitions].toSorted((a, b) => (a.type < b.type ? -1 : 1));
  const $defs: Record<string, unknown> = {};
  const rules = all.map((definition) => {
    const names = [definition.type, ...(definition.aliases ?? [])];
    return {
      if: { properties: { type: { enum: names } }, required: ["type"] },
      // biome-ignore lint/suspicious/noThenProperty: a JSON Schema keyword
      then: { properties: { parameters: parametersSchema(definition, $defs) } },
    };
  });
  const types = all.map(({ type, summary }) => ({ const: type, description: summary }));
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: configKind,
    ...closedMap({
      apiVersion: { const: configApiVersion },
      kind: { const: configKind },
      featureGates: list({
        type: "string",
        anyOf: [
          { enum: [...featureGateDefaults].flatMap(([name]) => [name, `${name}=true`, `${name}=false`]) },
          { pattern: `^(${[...featureGateDefaults.keys()].join("|")})(=.*)?$` },
        ],
      }),
      plugins: list({
        ...closedMap(
          {
            name: { type: "string", description: "Unique; the type when absent." },
            type: { type: "string", anyOf: [...types, { pattern: "." }] },
            parameters: { description: "What the type takes." },
          },
          ["type"],
        ),
        allOf: rules,
      }),
      schedulingProfiles: list(
        closedMap(
          {
            name: { type: "string", minLength: 1 },
            plugins: list(
              closedMap(
                { pluginRef, weight: { type: "number", minimum: 0, default: 1, description: "For scorers." } },
                ["pluginRef"],
              ),
            ),
          },
          ["name"],
        ),
      ),
      dataLayer: closedMap({
        injectDefaults: {
          type: "boolean",
          default: true,
          description: "Add metrics-data-source with core-metrics-extractor where a plugin reads metrics.",
        },
        sources: list(closedMap({ pluginRef, extractors: list(reference) }, ["pluginRef"])),
        discovery: { ...reference, description: "Finds endpoints without Kubernetes." },
        peerDiscovery: { ...reference, deprecated: true },
        crossReplicaSyncerPluginRef: { type: "string", deprecated: true },
        crossReplicaSyncInterval: { ...duration, deprecated: true },
      }),
      flowControl: closedMap({
        maxBytes: quantity,
        maxRequests: quantity,
        defaultRequestTTL: duration,
        noEndpointRequestTTL: duration,
        priorityBands: list(band),
        defaultPriorityBand: band,
        defaultNegativePriorityBand: band,
        usageLimitPolicyPluginRef: { type: "string" },
        saturationDetector: closedMap({ pluginRef: { type: "string", default: "utilization-detector" } }),
        enableEviction: { type: "boolean", default: false },
      }),
      requestHandler: closedMap({ parsers: list(reference) }),
      saturationDetector: { ...closedMap({ pluginRef: { type: "string" } }), deprecated: true },
      parser: { ...reference, deprecated: true },
    }),
    $defs,
  };
}

function closedMap(properties: JsonSchemaObject, required?: readonly string[]): JsonSchemaObject {
  return { type: "object", properties, additionalProperties: false, ...(required === undefined ? {} : { required }) };
}

function list(items: JsonSchemaObject): JsonSchemaObject {
  return { type: "array", items };
}

const pluginRef: JsonSchemaObject = { type: "string", minLength: 1, description: "Name of an entry of plugins." };
const reference: JsonSchemaObject = closedMap({ pluginRef }, ["pluginRef"]);
const duration: JsonSchemaObject = { type: "string", examples: ["30s", "1m30s"] };
const quantity: JsonSchemaObject = { type: ["string", "number"], examples: ["2k", "512Mi"] };
const band: JsonSchemaObject = closedMap({
  priority: { type: "integer", default: 0 },
  maxBytes: quantity,
  maxRequests: quantity,
  fairnessPolicyRef: { type: "string" },
  orderingPolicyRef: { type: "string" },
});

/** The schema of a plugin's parameters, put into `$defs` so that its own references stay valid; a reference to it. */
function parametersSchema(definition: AnyPluginDefinition, $defs: Record<string, unknown>): JsonSchemaObject {
  const { type, params } = definition;
  if (params === undefined) return { type: ["object", "null"], maxProperties: 0 };
  let schema: Record<string, unknown>;
  try {
    schema = params["~standard"].jsonSchema.input({ target: "draft-2020-12" });
  } catch {
    // The library cannot express it as JSON Schema: anything goes in the editor, the loader checks it.
    return {};
  }
  const { $schema: _, $defs: own, ...rest } = schema;
  $defs[type] = moveReferences(rest, type);
  if (typeof own === "object" && own !== null) {
    for (const [name, nested] of Object.entries(own)) $defs[`${type}:${name}`] = moveReferences(nested, type);
  }
  return { anyOf: [{ $ref: definitionPointer(type) }, { type: "null" }] };
}

/** Copies a schema with its local references pointed to where its parts stand in the whole. */
function moveReferences(schema: unknown, type: string): unknown {
  if (Array.isArray(schema)) return schema.map((part) => moveReferences(part, type));
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => {
      if (keyword !== "$ref" || typeof value !== "string") return [keyword, moveReferences(value, type)];
      if (value === "#") return [keyword, definitionPointer(type)];
      const prefix = "#/$defs/";
      if (!value.startsWith(prefix)) return [keyword, value];
      return [keyword, `${definitionPointer(type)}:${value.slice(prefix.length)}`];
    }),
  );
}

function definitionPointer(type: string): string {
  return `#/$defs/${type.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}
