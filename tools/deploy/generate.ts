import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../workspace-packages.ts";
import { envoyTemplate } from "./envoy-template.ts";
import { chartFolder } from "./helm.ts";
import { plainManifest, plainManifests } from "./plain-manifests.ts";

// Writes what of apps/epp/deploy is made out of something else: the chart's Envoy bootstrap out of `epp envoy-config`, the
// plain manifests out of the chart. POINTSMAN_HELM names the helm program.
const helm = process.env["POINTSMAN_HELM"] ?? "helm";
writeFileSync(join(chartFolder, "files/envoy.tpl"), envoyTemplate());
const folder = join(root, "apps/epp/deploy/manifests");
mkdirSync(folder, { recursive: true });
for (const file of plainManifests.keys()) writeFileSync(join(folder, file), plainManifest(helm, file));
