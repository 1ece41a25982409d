import { rolesOf } from "@pointsman/core";
import { buildPlugin, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import plugin from "./index.ts";

const params = { version: "v1", kind: "Pod" };

pluginContract(plugin, { testFile: import.meta.url, params });

test("it is a source that polls nothing and says what it stands for", () => {
  const { instance } = buildPlugin(plugin, { params });
  expect(plugin.kind).toBe("source");
  expect(rolesOf(instance)).toEqual([]);
  expect(instance.dumpState!()).toEqual({ group: "", version: "v1", kind: "Pod" });
});

test.each([{}, { version: "v1" }, { kind: "Pod" }, { version: "", kind: "Pod" }, { ...params, plural: "pods" }])(
  "parameters without version and kind, and unknown ones, are refused: %j",
  (given) => {
    expect(() => buildPlugin(plugin, { params: given })).toThrow();
  },
);
