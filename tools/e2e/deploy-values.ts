/** Values of the chart that cover its branches, by what they are about. */
const selector = { app: "vllm", "llm-d.ai/role": "decode" };
const pool = { selector };
const readers = [{ name: "prometheus", namespace: "monitoring" }];

export const deployValues: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  gateway: { pool },
  "gateway, three replicas": { pool, replicas: 3 },
  "gateway, three that all serve": { pool, replicas: 3, leaderElection: false },
  "gateway, several ranks, closed": {
    pool: {
      name: "big-pool",
      selector,
      targetPorts: [8000, 8001],
      appProtocol: "kubernetes.io/h2c",
      failureMode: "FailClose",
    },
  },
  "gateway, an existing pool": { pool: { create: false, name: "theirs" } },
  "gateway, metrics for everybody": { pool, metrics: { auth: false } },
  "gateway, everything of metrics": {
    pool,
    metrics: {
      readers,
      tls: { secretName: "metrics-certificate", clientCa: { secretName: "clients", key: "authority.crt" } },
      serviceMonitor: {
        enabled: true,
        labels: { release: "prometheus" },
        tokenSecret: { name: "reader" },
        clientSecretName: "prometheus-certificate",
      },
    },
  },
  "gateway, certificates": { pool, tls: { secretName: "certificate" } },
  "gateway, no TLS": { pool, tls: { enabled: false }, istio: { destinationRule: true } },
  "gateway, all that is optional": {
    pool,
    replicas: 2,
    fullnameOverride: "picker",
    image: { repository: "registry.example/epp", digest: `sha256:${"0".repeat(64)}` },
    imagePullSecrets: [{ name: "registry" }],
    config:
      "plugins:\n  - type: queue-scorer\nschedulingProfiles:\n  - name: default\n    plugins:\n      - pluginRef: queue-scorer\n",
    flags: { "error-format": "json", "enable-grpc-stream-metrics": true, "decision-log-size": 1000 },
    ports: { extProc: 19002, health: 19003, metrics: 19090 },
    drainSeconds: 10,
    serviceAccount: { create: false, name: "given" },
    rbac: { extraRules: [{ apiGroups: ["example.com"], resources: ["things"], verbs: ["list", "watch"] }] },
    networkPolicy: {
      proxies: [{ podSelector: { matchLabels: { app: "gateway" } } }],
      monitoring: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } }],
    },
    istio: { destinationRule: true },
    env: [{ name: "OTEL_TRACES_EXPORTER", value: "otlp" }],
    volumes: [{ name: "more", emptyDir: {} }],
    volumeMounts: [{ name: "more", mountPath: "/more" }],
    podAnnotations: { note: "text" },
    podLabels: { team: "inference" },
    nodeSelector: { pool: "cpu" },
    tolerations: [{ key: "cpu", operator: "Exists" }],
    affinity: { nodeAffinity: {} },
    priorityClassName: "system-cluster-critical",
  },
  "gateway, as little as possible": {
    pool,
    replicas: 2,
    rbac: { create: false },
    podDisruptionBudget: { enabled: false },
    networkPolicy: { enabled: false },
    topologySpreadConstraints: [],
  },
  "standalone, Envoy in the pod": { mode: "standalone", pool },
  "standalone, Envoy in the pod, three replicas, no TLS": {
    mode: "standalone",
    pool,
    replicas: 3,
    tls: { enabled: false },
    standalone: { port: 18081, envoy: { adminPort: 19901 } },
  },
  "standalone, Envoy on its own": {
    mode: "standalone",
    pool,
    replicas: 2,
    standalone: { dataPlane: "EnvoyDeployment", service: { type: "LoadBalancer", annotations: { note: "text" } } },
    networkPolicy: { clients: [{ ipBlock: { cidr: "10.0.0.0/8" } }] },
    nodeSelector: { pool: "cpu" },
  },
  "standalone, Envoy on its own, no TLS": {
    mode: "standalone",
    pool,
    ports: { extProc: 19002 },
    tls: { enabled: false },
    standalone: { dataPlane: "EnvoyDeployment", envoy: { replicas: 1 } },
  },
  "standalone, the picker's own proxy": { mode: "standalone", pool, standalone: { dataPlane: "BuiltIn" } },
};
