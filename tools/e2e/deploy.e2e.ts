import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { chartProblems, flagsOf } from "../deploy/chart-problems.ts";
import { envoyConfig } from "../deploy/envoy-template.ts";
import { chartFolder, render } from "../deploy/helm.ts";
import { at, type KubernetesObject, objectOf } from "../deploy/kubernetes-object.ts";
import { plainManifest, plainManifests } from "../deploy/plain-manifests.ts";
import { root } from "../workspace-packages.ts";
import { deployValues } from "./deploy-values.ts";
import { parts } from "./parts.ts";

vi.setConfig({ testTimeout: 120_000 });

const directory = mkdtempSync(join(tmpdir(), "pointsman-deploy-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const rendered = (values: unknown): readonly KubernetesObject[] => render({ helm: parts.helm(), values });
const kinds = (objects: readonly KubernetesObject[]): readonly string[] =>
  objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();
/** Rights as lines: `verbs group/resource[names]`. */
const rights = (role: KubernetesObject): readonly string[] =>
  (at<readonly Readonly<Record<string, readonly string[]>>[]>(role, "rules") ?? []).map(
    ({ apiGroups = [], resources = [], resourceNames = [], verbs = [] }) =>
      `${verbs.join()} ${apiGroups.join()}/${resources.join()}[${resourceNames.join()}]`,
  );

const cases = Object.entries(deployValues);

describe("the chart", () => {
  test.each(cases)("%s: what is rendered fits together", (_, values) => {
    expect(chartProblems(rendered(values))).toEqual([]);
  });

  test.each(cases)("%s: the picker takes the flags, and loads the configuration of the ConfigMap", (_, values) => {
    const objects = rendered(values);
    const deployment = objects.find(
      ({ kind, metadata }) => kind === "Deployment" && !metadata.name.endsWith("-envoy"),
    )!;
    const file = join(directory, "epp.yaml");
    const text = at<Readonly<Record<string, string>>>(objectOf(objects, "ConfigMap", deployment.metadata.name), "data");
    writeFileSync(file, text?.["epp.yaml"] ?? "");
    const flags = [...flagsOf(deployment)].map(([name, value]) => `--${name}=${name === "config-file" ? file : value}`);
    const { status, stderr } = spawnSync(parts.epp, flags, {
      encoding: "utf8",
      timeout: 60_000,
      env: { PATH: process.env["PATH"], KUBECONFIG: "/nowhere", POD_NAME: "llm-epp-6d4cf56db6-abcde" },
    });
    // Flags or a configuration with a mistake end it with 2 before it looks for the API server.
    expect(stderr).toContain("no access to Kubernetes");
    expect(status).toBe(1);
  });

  test("gateway mode has what it needs and nothing else", () => {
    const objects = rendered({ pool: { selector: { app: "vllm" } } });
    expect(kinds(objects)).toEqual([
      "ClusterRole inference-llm-epp-metrics-auth",
      "ClusterRoleBinding inference-llm-epp-metrics-auth",
      "ConfigMap llm-epp",
      "Deployment llm-epp",
      "InferencePool llm",
      "NetworkPolicy llm-epp",
      "Role llm-epp",
      "RoleBinding llm-epp",
      "Service llm-epp",
      "ServiceAccount llm-epp",
    ]);
    expect(rights(objectOf(objects, "Role"))).toEqual([
      "list,watch /pods[]",
      "list,watch inference.networking.k8s.io/inferencepools[llm]",
      "list,watch llm-d.ai,inference.networking.x-k8s.io/inferenceobjectives,inferencemodelrewrites[]",
    ]);
    expect(rights(objectOf(objects, "ClusterRole"))).toEqual([
      "create authentication.k8s.io/tokenreviews[]",
      "create authorization.k8s.io/subjectaccessreviews[]",
    ]);
  });

  test("without metrics authentication nothing of the cluster is made", () => {
    const objects = rendered(deployValues["gateway, metrics for everybody"]);
    expect(kinds(objects).filter((line) => line.startsWith("Cluster"))).toEqual([]);
  });

  test("standalone mode needs no CRD and may see pods only", () => {
    const objects = rendered({ mode: "standalone", pool: { selector: { app: "vllm" } } });
    expect(kinds(objects)).not.toContain("InferencePool llm");
    expect(rights(objectOf(objects, "Role"))).toEqual(["list,watch /pods[]"]);
    expect(flagsOf(objectOf(objects, "Deployment")).get("endpoint-selector")).toBe("app=vllm");
    expect(at(objectOf(objects, "Service", "llm"), "spec.ports.0.port")).toBe(80);
  });

  test("several replicas elect a leader, with a right to its Lease alone; a budget protects them", () => {
    const objects = rendered(deployValues["gateway, three replicas"]);
    expect(flagsOf(objectOf(objects, "Deployment")).get("ha-enable-leader-election")).toBe("true");
    expect(rights(objectOf(objects, "Role")).slice(-2)).toEqual([
      "create coordination.k8s.io/leases[]",
      "get,update coordination.k8s.io/leases[epp-inference-llm.llm-d.ai]",
    ]);
    expect(at(objectOf(objects, "PodDisruptionBudget"), "spec.maxUnavailable")).toBe("100%");
    const all = rendered(deployValues["gateway, three that all serve"]);
    expect(flagsOf(objectOf(all, "Deployment")).get("ha-enable-leader-election")).toBe("false");
    expect(rights(objectOf(all, "Role")).join()).not.toContain("leases");
    expect(at(objectOf(all, "PodDisruptionBudget"), "spec.maxUnavailable")).toBe(1);
  });

  test.each([
    ["standalone, Envoy in the pod", ["--epp-address=127.0.0.1"]],
    [
      "standalone, Envoy in the pod, three replicas, no TLS",
      ["--epp-address=127.0.0.1", "--secure-serving=false", "--listen-port=18081", "--admin-port=19901"],
    ],
    ["standalone, Envoy on its own", ["--epp-address=llm-epp.inference.svc"]],
    [
      "standalone, Envoy on its own, no TLS",
      ["--epp-address=llm-epp.inference.svc", "--secure-serving=false", "--grpc-port=19002"],
    ],
  ])("%s: Envoy gets what `epp envoy-config` prints, and accepts it", (name, flags) => {
    const data = at<Readonly<Record<string, string>>>(
      objectOf(rendered(deployValues[name]), "ConfigMap", "llm-epp-envoy"),
      "data",
    );
    const bootstrap = data?.["envoy.yaml"] ?? "";
    expect(bootstrap.trimEnd()).toBe(envoyConfig(["--listen-address=0.0.0.0", ...flags]).trimEnd());
    const file = join(directory, "envoy.yaml");
    writeFileSync(file, bootstrap);
    execFileSync(parts.envoy(), ["--mode", "validate", "--config-path", file], { stdio: "pipe" });
  });

  test.each([
    [{ repilcas: 3 }, "repilcas"],
    [{ pool: { selector: { app: "vllm" }, targetPort: 8000 } }, "targetPort"],
    [{ metrics: { tls: { clientCA: {} } } }, "clientCA"],
    [{ replicas: "three" }, "replicas"],
    [{ replicas: 0 }, "replicas"],
    [{ mode: "proxy" }, "mode"],
    [{ pool: { targetPorts: [70000] } }, "targetPorts"],
    [{ flags: { "pool-name": "other" } }, "pool-name"],
    [{ flags: { "no-such-flag": 1 } }, "no-such-flag"],
    [{ image: { digest: "sha256:short" } }, "digest"],
    [{ podLabels: { "app.kubernetes.io/name": "other" } }, "propertyName"],
  ])("the schema refuses %j", (values, word) => {
    const merged = { pool: { selector: { app: "vllm" } }, ...values };
    expect(() => rendered(merged)).toThrow(new RegExp(`don't meet the specifications[\\s\\S]*${word}`));
  });

  test.each([
    [{}, "pool.selector is empty"],
    [{ mode: "standalone", pool: { create: false } }, "pool.selector is empty"],
    [
      { pool: { selector: { a: "b" } }, metrics: { auth: false, tls: { secretName: "s" } } },
      "TLS alone keeps nobody out",
    ],
    [
      { pool: { selector: { a: "b" } }, metrics: { tls: { clientCa: { secretName: "s" } } } },
      "needs metrics.tls.secretName",
    ],
    [{ pool: { selector: { a: "b" } }, drainSeconds: 60 }, "terminationGracePeriodSeconds is 130"],
    [{ pool: { selector: { a: "b" } }, tls: { enabled: false, secretName: "s" } }, "tls.secretName has no effect"],
    [
      {
        pool: { selector: { a: "b" } },
        metrics: {
          tls: { secretName: "s", clientCa: { secretName: "c" } },
          serviceMonitor: { enabled: true, tokenSecret: { name: "t" } },
        },
      },
      "needs metrics.serviceMonitor.clientSecretName",
    ],
    [
      { mode: "standalone", pool: { selector: { a: "b" } }, fullnameOverride: `${"n".repeat(44)}-epp` },
      "has more than 47 characters",
    ],
  ])("values that do not fit together are refused: %j", (values, problem) => {
    expect(() => rendered(values)).toThrow(problem);
  });

  test("where clients must have a certificate, the ServiceMonitor has one", () => {
    const monitor = objectOf(rendered(deployValues["gateway, everything of metrics"]), "ServiceMonitor");
    expect(at(monitor, "spec.endpoints.0.tlsConfig")).toEqual({
      serverName: "llm-epp.inference.svc",
      ca: { secret: { name: "metrics-certificate", key: "ca.crt" } },
      cert: { secret: { name: "prometheus-certificate", key: "tls.crt" } },
      keySecret: { name: "prometheus-certificate", key: "tls.key" },
    });
  });

  test("numbers of flags are written out, however large", () => {
    const flags = { "max-request-body-size": 67_108_864, "decision-log-size": 100_000, "emit-endpoint-scores": true };
    const [container] = at<readonly { args: readonly string[] }[]>(
      objectOf(rendered({ pool: { selector: { a: "b" } }, flags }), "Deployment", "llm-epp"),
      "spec.template.spec.containers",
    )!;
    expect(container?.args).toContain("--max-request-body-size=67108864");
    expect(container?.args).toContain("--decision-log-size=100000");
    expect(container?.args).toContain("--emit-endpoint-scores=true");
  });

  test("a name of 47 characters is short enough in standalone mode, a longer one in gateway mode", () => {
    const pool = { selector: { a: "b" } };
    const short = `${"n".repeat(43)}-epp`;
    expect(rendered({ mode: "standalone", pool, fullnameOverride: short })).not.toHaveLength(0);
    expect(rendered({ pool, fullnameOverride: `n${short}` })).not.toHaveLength(0);
  });

  test.each([...plainManifests.keys()])("the manifest %s is what the chart renders", (file) => {
    const kept = readFileSync(join(root, "apps/epp/deploy/manifests", file), "utf8");
    expect(kept, "run: node --conditions=@pointsman/source tools/deploy/generate.ts").toBe(
      plainManifest(parts.helm(), file),
    );
  });

  test("helm finds nothing to complain about", () => {
    const { stdout, status } = spawnSync(
      parts.helm(),
      ["lint", "--strict", chartFolder, "--set", "pool.selector.app=vllm"],
      {
        encoding: "utf8",
      },
    );
    expect(stdout.replace(/^\[INFO\].*icon.*$/m, "")).not.toMatch(/^\[(WARNING|ERROR)\]/m);
    expect(status).toBe(0);
  });

  const documents = ["deploy.md", "migration.md"].flatMap((file) =>
    [...readFileSync(join(root, "apps/epp/docs", file), "utf8").matchAll(/^ *helm upgrade --install (.*)$/gm)].map(
      ([, rest = ""]) => ({ file, rest }),
    ),
  );
  test("the documents show how to install it", () => {
    expect(documents.length).toBeGreaterThan(2);
  });
  test.each(documents)("$file: helm upgrade --install $rest", ({ rest }) => {
    const args = rest.split(" ").filter((word) => word !== "--create-namespace");
    const text = execFileSync(parts.helm(), ["template", ...args, "--kube-version=1.35.0"], {
      cwd: join(root, "apps/epp"),
      encoding: "utf8",
    });
    expect(text).toContain("kind: Deployment");
  });
});

test.each(["epp", "pd-sidecar", "pd-coordinator", "model-sim"])(
  "hadolint finds nothing in the Dockerfile of %s",
  (app) => {
    const { stdout, status } = spawnSync(parts.hadolint(), [join(root, "apps", app, "Dockerfile")], {
      encoding: "utf8",
    });
    expect(stdout).toBe("");
    expect(status).toBe(0);
  },
);
