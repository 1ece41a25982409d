import { expect, test } from "vitest";
import { definePlugin, isPluginDefinition } from "./plugin.ts";

const definition = {
  type: "test-filter",
  kind: "filter",
  stability: "beta",
  summary: "Keeps all.",
  create: () => ({}),
} as const;

test("a definition comes back as it was given and is recognised", () => {
  const defined = definePlugin(definition);
  expect(defined).toBe(definition);
  expect(isPluginDefinition(defined)).toBe(true);
});

test.each([
  ["undefined", undefined],
  ["null", null],
  ["a factory alone", () => ({})],
  ["no type", { ...definition, type: undefined }],
  ["no kind", { ...definition, kind: 1 }],
  ["no stability", { ...definition, stability: undefined }],
  ["no create", { ...definition, create: {} }],
])("%s is no definition", (_name, value) => {
  expect(isPluginDefinition(value)).toBe(false);
});
