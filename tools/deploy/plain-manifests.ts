import { parse, stringify } from "yaml";
import { render } from "./helm.ts";

/** The manifests, each with the values that it is rendered with. */
export const plainManifests: ReadonlyMap<string, unknown> = new Map([
  ["gateway.yaml", { pool: { selector: { app: "vllm" } } }],
  ["standalone.yaml", { mode: "standalone", pool: { selector: { app: "vllm" } } }],
]);

const heads: ReadonlyMap<string, string> = new Map([
  [
    "gateway.yaml",
    `# The endpoint picker behind a Gateway with support for InferencePool, for model servers with the label app=vllm on port 8000.
# Namespace "inference". Needs the CRDs of deploy/crds. Name your own image.
`,
  ],
  [
    "standalone.yaml",
    `# The endpoint picker with Envoy in its pod, for model servers with the label app=vllm on port 8000. Namespace "inference".
# Requests go to http://llm.inference. Name your own image.
`,
  ],
]);

/** Labels that speak of helm. */
const helmLabels = ["helm.sh/chart", "app.kubernetes.io/managed-by"];

/** Renders one of the manifests: the chart without what helm adds for itself. */
export function plainManifest(helm: string, file: string): string {
  const objects = render({ helm, values: plainManifests.get(file) });
  const documents = objects.map((object) => {
    const copy = parse(JSON.stringify(object)) as { metadata: { labels?: Record<string, string> } };
    for (const label of helmLabels) delete copy.metadata.labels?.[label];
    return stringify(copy, { lineWidth: 120, aliasDuplicateObjects: false });
  });
  return `${heads.get(file)}# Made out of the chart by tools/deploy/generate.ts.\n${documents.join("---\n")}`;
}
