import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { flagsOf } from "../deploy/chart-problems.ts";
import { readObjects, render } from "../deploy/helm.ts";
import { at, type KubernetesObject, objectOf } from "../deploy/kubernetes-object.ts";
import { plainManifests } from "../deploy/plain-manifests.ts";
import { root } from "../workspace-packages.ts";
import { deployValues } from "./deploy-values.ts";
import { KubeCluster, namespace } from "./kube-cluster.ts";
import { createObjective, createPod } from "./kube-objects.ts";
import { KubePicker } from "./kube-picker.ts";
import { parts } from "./parts.ts";
import { until } from "./stack.ts";

/** Kinds whose CRDs come with other projects. */
const elsewhere = ["ServiceMonitor", "DestinationRule"];
const plurals: Readonly<Record<string, string>> = { NetworkPolicy: "networkpolicies" };

const cluster = new KubeCluster();
const directory = mkdtempSync(join(tmpdir(), "pointsman-deploy-"));
const running: KubePicker[] = [];

beforeAll(async () => {
  await cluster.start();
  await cluster.installCrds();
}, 300_000);
afterEach(async () => {
  await Promise.all(running.splice(0).map((picker) => picker.stop("SIGKILL")));
});
afterAll(async () => {
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

function pathOf({ apiVersion, kind, metadata }: KubernetesObject): string {
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = metadata.namespace === undefined ? "" : `/namespaces/${metadata.namespace}`;
  return `${group}${scope}/${plurals[kind] ?? `${kind.toLowerCase()}s`}`;
}

/** What the API server has against objects that are sent as a trial. */
async function complaints(objects: readonly KubernetesObject[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const object of objects.filter(({ kind }) => !elsewhere.includes(kind))) {
    // Unknown and repeated fields are mistakes.
    const path = `${pathOf(object)}?dryRun=All&fieldValidation=Strict`;
    const { status, body } = await cluster.send("POST", path, object, "admin");
    if (status !== 201) found.push(`${object.kind} ${object.metadata.name}: ${status} ${String(body["message"])}`);
  }
  return found;
}

test("the API server says what is wrong with an object", async () => {
  const text = readFileSync(join(root, "apps/epp/deploy/manifests/gateway.yaml"), "utf8");
  expect(text).toContain("maxSurge: 1");
  const wrong = readObjects(
    text.replace("maxSurge: 1", "maxSurges: 1").replace("failureMode: FailOpen", "failureMode: Ask"),
  );
  const lines = await complaints(wrong);
  expect(lines).toHaveLength(2);
  expect(lines.join("\n")).toMatch(/maxSurges[\s\S]*failureMode|failureMode[\s\S]*maxSurges/);
});

test.each(Object.entries(deployValues))("%s: the API server accepts every object", async (_, values) => {
  expect(await complaints(render({ helm: parts.helm(), values, namespace }))).toEqual([]);
});

test.each([...plainManifests.keys()])("the API server accepts every object of %s", async (file) => {
  const text = readFileSync(join(root, "apps/epp/deploy/manifests", file), "utf8");
  expect(await complaints(readObjects(text))).toEqual([]);
});

/** Makes what is about rights, and the pool. */
async function apply(objects: readonly KubernetesObject[]): Promise<void> {
  const wanted = /^(ServiceAccount|Role|RoleBinding|ClusterRole|ClusterRoleBinding|InferencePool)$/;
  for (const object of objects.filter(({ kind }) => wanted.test(kind)))
    await cluster.must("POST", pathOf(object), object);
}

/** Starts a picker as the rendered Deployment does: with its flags, but free ports, and the rights of its ServiceAccount. */
async function startPicker(objects: readonly KubernetesObject[], podName: string): Promise<KubePicker> {
  const deployment = objectOf(objects, "Deployment");
  const account = at<string>(deployment, "spec.template.spec.serviceAccountName")!;
  const kubeconfig = await cluster.accountKubeconfig(account);
  const config = join(directory, "epp.yaml");
  const data = at<Readonly<Record<string, string>>>(objectOf(objects, "ConfigMap", deployment.metadata.name), "data");
  writeFileSync(config, data?.["epp.yaml"] ?? "");
  const flags = [...flagsOf(deployment)]
    .filter(([name]) => !name.endsWith("-port"))
    .map(([name, value]) => `--${name}=${name === "config-file" ? config : value}`);
  const picker = new KubePicker(cluster, podName, {
    pool: flags,
    environment: { KUBECONFIG: kubeconfig, POD_NAME: podName, NAMESPACE: namespace },
  });
  running.push(picker);
  return picker.listening();
}

const isReady = (picker: KubePicker): boolean => picker.said('"msg":"ready"').length > 0;

test("with the chart's own rights a picker becomes ready, one of two leads, and readers of metrics are served", async () => {
  await cluster.must("POST", `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: "prometheus" } });
  const objects = render({
    helm: parts.helm(),
    namespace,
    values: {
      pool: { selector: { app: "vllm" } },
      replicas: 2,
      metrics: { readers: [{ name: "prometheus", namespace }] },
    },
  });
  await apply(objects);
  await createPod(cluster, "vllm-0");
  await createObjective(cluster, "urgent", "llm", 10);

  const pickers = [await startPicker(objects, "llm-epp-1-a"), await startPicker(objects, "llm-epp-1-b")];
  await until("one is ready", () => pickers.some(isReady));
  const leader = pickers.find(isReady)!;
  const standby = pickers.find((picker) => picker !== leader)!;

  const url = `http://127.0.0.1:${leader.ports.metrics}/metrics`;
  const get = async (token: string): Promise<Response> => fetch(url, { headers: { authorization: `Bearer ${token}` } });
  const reader = await cluster.accountToken("prometheus");
  await until("the reader is served", async () => (await get(reader)).status === 200);
  expect((await get("made-up")).status).toBe(401);
  expect((await get(await cluster.accountToken("llm-epp"))).status).toBe(403);
  const page = await (await get(reader)).text();
  // The series that dashboards show of Kubernetes alone.
  for (const resource of ["pods", "inferencepools", "inferenceobjectives", "inferencemodelrewrites"]) {
    expect(page).toMatch(new RegExp(`^llm_d_epp_kubernetes_state_age_seconds\\{resource="${resource}"\\} `, "m"));
  }
  expect(page).toMatch(/^llm_d_epp_kubernetes_pods\{state="eligible"\} 1$/m);
  expect(page).toMatch(/^llm_d_epp_leader 1$/m);
  expect([...leader.running.lines, ...standby.running.lines].filter((line) => /forbidden/i.test(line))).toEqual([]);

  expect(isReady(standby)).toBe(false);
  await leader.stop("SIGKILL");
  await until("the other one leads", () => isReady(standby));
}, 180_000);

test("in standalone mode the right to see pods is enough, and to the Lease of several", async () => {
  const objects = render({
    helm: parts.helm(),
    release: "alone",
    namespace,
    values: { mode: "standalone", replicas: 2, pool: { selector: { app: "vllm" } } },
  });
  await apply(objects);
  const picker = await startPicker(objects, "alone-epp-6d4cf56db6-abcde");
  await picker.ready();
  expect(picker.running.lines.filter((line) => /forbidden/i.test(line))).toEqual([]);
}, 120_000);
