import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../workspace-packages.ts";
import { dashboardJson } from "./dashboard.ts";
import { dashboards } from "./dashboards.ts";
import { envoyTemplate } from "./envoy-template.ts";
import { chartFolder } from "./helm.ts";
import { plainManifest, plainManifests } from "./plain-manifests.ts";

// Writes what of apps/epp/deploy is made out of something else: the dashboards out of their queries, the chart's Envoy
// bootstrap out of `epp envoy-config`, the plain manifests out of the chart. POINTSMAN_HELM names the helm program.
const deploy = join(root, "apps/epp/deploy");

function write(folder: string, file: string, text: string): void {
  mkdirSync(join(deploy, folder), { recursive: true });
  writeFileSync(join(deploy, folder, file), text);
}

for (const [file, dashboard] of dashboards) write("dashboards", file, dashboardJson(dashboard));
writeFileSync(join(chartFolder, "files/envoy.tpl"), envoyTemplate());
const helm = process.env["POINTSMAN_HELM"] ?? "helm";
for (const file of plainManifests.keys()) write("manifests", file, plainManifest(helm, file));
