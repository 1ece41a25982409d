import { type KubeCluster, namespace } from "./kube-cluster.ts";

export const podsPath = `/api/v1/namespaces/${namespace}/pods`;
export const poolsPath = `/apis/inference.networking.k8s.io/v1/namespaces/${namespace}/inferencepools`;
export const objectivesPath = `/apis/llm-d.ai/v1alpha2/namespaces/${namespace}/inferenceobjectives`;
export const rewritesPath = `/apis/llm-d.ai/v1alpha2/namespaces/${namespace}/inferencemodelrewrites`;

export interface PodOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ip?: string;
  readonly ready?: boolean;
  readonly finalizers?: readonly string[];
  /** Adds environment variables, so that the object has the size of a real one. */
  readonly environment?: number;
}

/** Makes a pod as a controller does, then its status as a kubelet does. */
export async function createPod(cluster: KubeCluster, name: string, options: PodOptions = {}): Promise<void> {
  const { labels = { app: "vllm" }, annotations = {}, finalizers, environment = 0 } = options;
  await cluster.must("POST", podsPath, {
    metadata: { name, labels, annotations, ...(finalizers === undefined ? {} : { finalizers }) },
    spec: {
      nodeName: "node-1",
      terminationGracePeriodSeconds: 30,
      containers: [
        {
          name: "vllm",
          image: "registry.example/vllm:v1",
          env: Array.from({ length: environment }, (_, i) => ({
            name: `SETTING_${i}`,
            value: `value of the setting ${i}`,
          })),
        },
      ],
    },
  });
  await setPodStatus(cluster, name, options);
}

/** Patches the status of a pod. */
export async function setPodStatus(cluster: KubeCluster, name: string, options: PodOptions = {}): Promise<void> {
  const { ip = "127.0.0.1", ready = true } = options;
  const at = "2026-01-01T00:00:00Z";
  const status = ready ? "True" : "False";
  await cluster.must("PATCH", `${podsPath}/${name}/status`, {
    status: {
      phase: "Running",
      podIP: ip,
      podIPs: [{ ip }],
      hostIP: "127.0.0.1",
      conditions: ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) => ({
        type,
        status: type === "Ready" ? status : "True",
        lastTransitionTime: at,
      })),
    },
  });
}

export async function deletePod(cluster: KubeCluster, name: string, graceSeconds = 0): Promise<void> {
  await cluster.must("DELETE", `${podsPath}/${name}?gracePeriodSeconds=${graceSeconds}`);
}

/** Makes a pool, or replaces its spec. */
export async function putPool(
  cluster: KubeCluster,
  name: string,
  labels: Readonly<Record<string, string>>,
  ports: readonly number[],
): Promise<void> {
  const spec = {
    selector: { matchLabels: labels },
    targetPorts: ports.map((number) => ({ number })),
    endpointPickerRef: { name: "epp", port: { number: 9002 } },
  };
  const { status, body } = await cluster.get(`${poolsPath}/${name}`);
  const object = { apiVersion: "inference.networking.k8s.io/v1", kind: "InferencePool", metadata: { name }, spec };
  if (status === 404) await cluster.must("POST", poolsPath, object);
  else await cluster.must("PUT", `${poolsPath}/${name}`, { ...body, spec });
}

export async function createObjective(
  cluster: KubeCluster,
  name: string,
  pool: string,
  priority?: number,
): Promise<void> {
  await cluster.must("POST", objectivesPath, {
    apiVersion: "llm-d.ai/v1alpha2",
    kind: "InferenceObjective",
    metadata: { name },
    spec: { poolRef: { name: pool }, ...(priority === undefined ? {} : { priority }) },
  });
}

export async function createRewrite(
  cluster: KubeCluster,
  name: string,
  pool: string,
  rules: readonly unknown[],
): Promise<void> {
  await cluster.must("POST", rewritesPath, {
    apiVersion: "llm-d.ai/v1alpha2",
    kind: "InferenceModelRewrite",
    metadata: { name },
    spec: { poolRef: { name: pool }, rules },
  });
}
