import { rolesOf } from "@pointsman/core";
import { buildPlugin, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import plugin from "./index.ts";

pluginContract(plugin, { testFile: import.meta.url });

test("it is a source that polls nothing", () => {
  expect(plugin.kind).toBe("source");
  expect(rolesOf(buildPlugin(plugin).instance)).toEqual([]);
});
