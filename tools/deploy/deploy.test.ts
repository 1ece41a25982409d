import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../workspace-packages.ts";
import { dashboardJson } from "./dashboard.ts";
import { dashboards } from "./dashboards.ts";
import { envoyTemplate } from "./envoy-template.ts";
import { chartFolder } from "./helm.ts";

const again = "run: node --conditions=@pointsman/source tools/deploy/generate.ts";

test("the dashboards in the repository are those of their queries", () => {
  const folder = join(root, "apps/epp/deploy/dashboards");
  const made = Object.fromEntries([...dashboards].map(([file, dashboard]) => [file, dashboardJson(dashboard)]));
  const kept = Object.fromEntries(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), "utf8")]));
  expect(kept, again).toEqual(made);
});

test("the chart's Envoy bootstrap is the one of `epp envoy-config`", () => {
  expect(readFileSync(join(chartFolder, "files/envoy.tpl"), "utf8"), again).toBe(envoyTemplate());
});
