import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { root } from "../workspace-packages.ts";
import type { KubernetesObject } from "./kubernetes-object.ts";

export const chartFolder: string = join(root, "apps/epp/deploy/chart/pointsman");

export interface RenderOptions {
  /** Path of the helm program. */
  readonly helm: string;
  readonly values: unknown;
  readonly release?: string;
  readonly namespace?: string;
}

/** Renders the chart to text. Throws with what helm says when it refuses. */
export function renderText({ helm, values, release = "llm", namespace = "inference" }: RenderOptions): string {
  const folder = mkdtempSync(join(tmpdir(), "pointsman-values-"));
  try {
    // JSON is YAML.
    writeFileSync(join(folder, "values.yaml"), JSON.stringify(values));
    const { status, stdout, stderr } = spawnSync(
      helm,
      [
        ...["template", release, chartFolder, "--namespace", namespace, "--values", join(folder, "values.yaml")],
        ...["--kube-version", "1.35.0"],
      ],
      {
        encoding: "utf8",
        env: { ...process.env, HELM_CONFIG_HOME: folder, HELM_CACHE_HOME: folder, HELM_DATA_HOME: folder },
      },
    );
    if (status !== 0) throw new Error(`helm template: ${stderr}`);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Renders the chart to its objects. */
export function render(options: RenderOptions): readonly KubernetesObject[] {
  return readObjects(renderText(options));
}

/** Reads a text of several documents. Throws for a key that stands twice, and any other mistake of YAML. */
export function readObjects(text: string): readonly KubernetesObject[] {
  const objects: KubernetesObject[] = [];
  for (const document of parseAllDocuments(text)) {
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem !== undefined) throw problem;
    // Without contents a document is null; with contents the API server or an invariant decides what it is.
    const value = document.toJS() as KubernetesObject | null;
    if (value !== null) objects.push(value);
  }
  return objects;
}
