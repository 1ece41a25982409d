import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../workspace-packages.ts";
import { chartProblems } from "./chart-problems.ts";
import { readObjects } from "./helm.ts";

const read = (file: string): string => readFileSync(join(root, "apps/epp/deploy/manifests", file), "utf8");

test.each(["gateway.yaml", "standalone.yaml"])("what stands in %s fits together", (file) => {
  const objects = readObjects(read(file));
  expect(objects.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(["Deployment", "Service", "Role", "NetworkPolicy"]),
  );
  expect(chartProblems(objects)).toEqual([]);
});

test.each([
  ["name: grpc-health\n", "name: other\n", "--grpc-health-port"],
  ["--metrics-port=9090", "--metrics-port=9091", "--metrics-port"],
  ["targetPort: metrics", "targetPort: metriks", "names the port metriks"],
  ["app.kubernetes.io/component: epp\n  ports", "app.kubernetes.io/component: no\n  ports", "selects the pods of 0"],
  ["number: 9002", "number: 9001", "names the picker llm-epp:9001"],
  ["runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"],
  ["readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem"],
  ["service: readiness", "service: inference-extension", "does not ask for readiness"],
  ["mountPath: /etc/pointsman", "mountPath: /etc/other", "is not mounted"],
  ["terminationGracePeriodSeconds: 130", "terminationGracePeriodSeconds: 100", "grace period"],
  ["serviceAccountName: llm-epp", "serviceAccountName: default", "RoleBinding binds"],
  ["maxUnavailable: 0", "maxUnavailable: 1", "maxUnavailable"],
  ["- watch", '- "*"', "a right to everything"],
])("%s replaced by %s is noticed", (from, to, problem) => {
  const text = read("gateway.yaml");
  expect(text).toContain(from);
  expect(chartProblems(readObjects(text.replace(from, to))).join("\n")).toContain(problem);
});
