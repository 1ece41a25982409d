/** A pod object of the size that a model server's has: volumes, environment, probes, conditions, and managedFields. */
export function realPod(index: number, version: number): object {
  const name = `vllm-qwen3-32b-decode-7d9c8b5f6d-${index.toString(36).padStart(5, "0")}`;
  const environment = Array.from({ length: 24 }, (_, i) => ({
    name: `VLLM_SETTING_NUMBER_${i}`,
    value: `value-of-setting-${i}`,
  }));
  const labels = {
    app: "vllm",
    "llm-d.ai/role": "decode",
    "llm-d.ai/model": "qwen3-32b",
    "llm-d.ai/inference-serving": "true",
    "pod-template-hash": "7d9c8b5f6d",
    "topology.kubernetes.io/zone": "zone-a",
  };
  const probe = {
    httpGet: { path: "/health", port: 8000, scheme: "HTTP" },
    periodSeconds: 10,
    timeoutSeconds: 5,
    failureThreshold: 3,
  };
  const container = (container: string) => ({
    name: container,
    image: `registry.example.com/llm-d/${container}@sha256:${"0123456789abcdef".repeat(4)}`,
    args: ["--model", "Qwen/Qwen3-32B", "--port", "8000", "--tensor-parallel-size", "8", "--enable-prefix-caching"],
    env: environment,
    ports: [{ name: "http", containerPort: 8000, protocol: "TCP" }],
    resources: {
      limits: { cpu: "32", memory: "512Gi", "nvidia.com/gpu": "8" },
      requests: { cpu: "32", memory: "512Gi", "nvidia.com/gpu": "8" },
    },
    volumeMounts: Array.from({ length: 6 }, (_, i) => ({ name: `volume-${i}`, mountPath: `/mnt/volume-${i}` })),
    livenessProbe: probe,
    readinessProbe: probe,
    startupProbe: probe,
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: "IfNotPresent",
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] }, runAsNonRoot: true },
  });
  const fields = Object.fromEntries(
    environment.map(({ name: key }) => [`k:{"name":"${key}"}`, { ".": {}, "f:name": {}, "f:value": {} }]),
  );
  const managed = (manager: string, subresource: string) => ({
    manager,
    operation: "Update",
    apiVersion: "v1",
    time: "2026-01-01T00:00:00Z",
    fieldsType: "FieldsV1",
    fieldsV1: {
      "f:metadata": { "f:labels": Object.fromEntries(Object.keys(labels).map((key) => [`f:${key}`, {}])) },
      "f:spec": { "f:containers": { 'k:{"name":"vllm"}': { ".": {}, "f:args": {}, "f:env": { ".": {}, ...fields } } } },
    },
    ...(subresource === "" ? {} : { subresource }),
  });
  const at = "2026-01-01T00:00:00Z";
  return {
    metadata: {
      name,
      generateName: "vllm-qwen3-32b-decode-7d9c8b5f6d-",
      namespace: "inference",
      uid: `00000000-0000-4000-8000-${index.toString().padStart(12, "0")}`,
      resourceVersion: String(version),
      creationTimestamp: at,
      labels,
      annotations: { "prometheus.io/scrape": "true", "kubectl.kubernetes.io/restartedAt": at, note: "x".repeat(600) },
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: "vllm-qwen3-32b-decode-7d9c8b5f6d",
          uid: "u",
          controller: true,
        },
      ],
      managedFields: [managed("kube-controller-manager", ""), managed("kubelet", "status")],
    },
    spec: {
      volumes: Array.from({ length: 6 }, (_, i) => ({
        name: `volume-${i}`,
        emptyDir: { medium: "Memory", sizeLimit: "64Gi" },
      })),
      containers: [container("vllm")],
      initContainers: [container("routing-proxy")],
      restartPolicy: "Always",
      nodeName: `node-${index % 125}`,
      tolerations: Array.from({ length: 3 }, (_, i) => ({
        key: `taint-${i}`,
        operator: "Exists",
        effect: "NoExecute",
        tolerationSeconds: 300,
      })),
    },
    status: {
      phase: "Running",
      hostIP: `10.1.${index >> 8}.${index & 255}`,
      podIP: `10.2.${index >> 8}.${index & 255}`,
      podIPs: [{ ip: `10.2.${index >> 8}.${index & 255}` }],
      startTime: at,
      qosClass: "Guaranteed",
      conditions: ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(
        (type) => ({
          type,
          status: "True",
          lastProbeTime: null,
          lastTransitionTime: at,
        }),
      ),
      containerStatuses: ["vllm", "routing-proxy"].map((each) => ({
        name: each,
        state: { running: { startedAt: at } },
        ready: true,
        restartCount: 0,
        image: `registry.example.com/llm-d/${each}`,
        imageID: `registry.example.com/llm-d/${each}@sha256:${"0123456789abcdef".repeat(4)}`,
        containerID: `containerd://${"0123456789abcdef".repeat(4)}`,
        started: true,
      })),
    },
  };
}
