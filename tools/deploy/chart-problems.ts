import { at, type KubernetesObject } from "./kubernetes-object.ts";

type Labels = Readonly<Record<string, string>>;
interface Port {
  readonly name?: string;
  readonly containerPort: number;
}
interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly ports?: readonly Port[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

const drainOfOpenRequestsSeconds = 90;

/** The containers of a Deployment, sidecars first. */
export function containersOf(deployment: KubernetesObject): readonly Container[] {
  return [
    ...(at<readonly Container[]>(deployment, "spec.template.spec.initContainers") ?? []),
    ...(at<readonly Container[]>(deployment, "spec.template.spec.containers") ?? []),
  ];
}

/** Flags of the picker's container by name. */
export function flagsOf(deployment: KubernetesObject): ReadonlyMap<string, string> {
  const { args = [] } = containersOf(deployment).find(({ name }) => name === "epp") ?? {};
  return new Map(args.map((arg) => [arg.slice(2, arg.indexOf("=")), arg.slice(arg.indexOf("=") + 1)]));
}

const isPicker = (deployment: KubernetesObject): boolean => containersOf(deployment).some(({ name }) => name === "epp");
const deploymentsOf = (objects: readonly KubernetesObject[]): readonly KubernetesObject[] =>
  objects.filter(({ kind }) => kind === "Deployment");

/** What of a set of rendered objects does not fit together; empty when all does. */
export function chartProblems(objects: readonly KubernetesObject[]): readonly string[] {
  return [
    ...nameProblems(objects),
    ...selectorProblems(objects),
    ...deploymentsOf(objects).flatMap((deployment) => [
      ...containerProblems(deployment),
      ...mountProblems(deployment, objects),
      ...(isPicker(deployment) ? pickerProblems(deployment, objects) : []),
    ]),
    ...rightsProblems(objects),
  ];
}

function nameProblems(objects: readonly KubernetesObject[]): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const { kind, metadata } of objects) {
    const id = `${kind} ${metadata.name}`;
    if (seen.has(id)) problems.push(`${id} stands twice`);
    seen.add(id);
    if (metadata.labels?.["app.kubernetes.io/name"] !== "pointsman") problems.push(`${id} lacks the chart's labels`);
    if (metadata.namespace === undefined && !kind.startsWith("ClusterRole")) problems.push(`${id} has no namespace`);
  }
  return problems;
}

const matches = (selector: Labels | undefined, labels: Labels | undefined): boolean =>
  selector !== undefined &&
  Object.keys(selector).length > 0 &&
  Object.entries(selector).every(([key, value]) => labels?.[key] === value);

/** Services, budgets and policies each select the pods of one Deployment, by ports that it has. */
function selectorProblems(objects: readonly KubernetesObject[]): string[] {
  const problems: string[] = [];
  const selected = (id: string, selector: Labels | undefined): KubernetesObject | undefined => {
    const found = deploymentsOf(objects).filter((each) => matches(selector, at(each, "spec.template.metadata.labels")));
    if (found.length !== 1) problems.push(`${id} selects the pods of ${found.length} Deployments`);
    return found.length === 1 ? found[0] : undefined;
  };
  const hasPort = (id: string, deployment: KubernetesObject | undefined, port: string | number): void => {
    if (deployment === undefined) return;
    const ports = containersOf(deployment).flatMap((container) => container.ports ?? []);
    if (!ports.some(({ name, containerPort }) => name === port || containerPort === port)) {
      problems.push(`${id} names the port ${port}, which ${deployment.metadata.name} does not have`);
    }
  };
  for (const object of objects) {
    const id = `${object.kind} ${object.metadata.name}`;
    if (object.kind === "Deployment") {
      if (selected(id, at(object, "spec.selector.matchLabels")) !== object) problems.push(`${id} selects other pods`);
      for (const spread of at<readonly unknown[]>(object, "spec.template.spec.topologySpreadConstraints") ?? []) {
        if (!matches(at(spread, "labelSelector.matchLabels"), at(object, "spec.template.metadata.labels"))) {
          problems.push(`${id} spreads other pods`);
        }
      }
    } else if (object.kind === "Service") {
      const deployment = selected(id, at(object, "spec.selector"));
      for (const port of at<readonly { readonly targetPort: string }[]>(object, "spec.ports") ?? []) {
        hasPort(id, deployment, port.targetPort);
      }
    } else if (object.kind === "PodDisruptionBudget") {
      selected(id, at(object, "spec.selector.matchLabels"));
    } else if (object.kind === "NetworkPolicy") {
      const deployment = selected(id, at(object, "spec.podSelector.matchLabels"));
      const rules = at<readonly { readonly ports: readonly { readonly port: string | number }[] }[]>(
        object,
        "spec.ingress",
      );
      for (const { ports } of rules ?? []) for (const { port } of ports) hasPort(id, deployment, port);
    } else if (object.kind === "InferencePool") {
      const name = at<string>(object, "spec.endpointPickerRef.name");
      const service = objects.find((each) => each.kind === "Service" && each.metadata.name === name);
      const ports = at<readonly { readonly port: number }[]>(service, "spec.ports") ?? [];
      const wanted = at(object, "spec.endpointPickerRef.port.number");
      if (!ports.some(({ port }) => port === wanted))
        problems.push(`${id} names the picker ${name}:${wanted}, which is not there`);
    }
  }
  return problems;
}

/** Nobody is root, nothing is written, nothing runs without limits or an exact image. */
function containerProblems(deployment: KubernetesObject): string[] {
  const problems: string[] = [];
  const pod = at(deployment, "spec.template.spec");
  const must = (what: string, value: unknown, ...wanted: readonly unknown[]): void => {
    if (!wanted.includes(value)) problems.push(`${deployment.metadata.name}: ${what} is ${JSON.stringify(value)}`);
  };
  must("runAsNonRoot", at(pod, "securityContext.runAsNonRoot"), true);
  must("runAsUser", at(pod, "securityContext.runAsUser"), 65532);
  must("seccompProfile", at(pod, "securityContext.seccompProfile.type"), "RuntimeDefault");
  for (const host of ["hostNetwork", "hostPID", "hostIPC"]) must(host, at(pod, host), undefined);
  for (const container of containersOf(deployment)) {
    const { name, image } = container;
    must(`${name}: readOnlyRootFilesystem`, at(container, "securityContext.readOnlyRootFilesystem"), true);
    must(`${name}: allowPrivilegeEscalation`, at(container, "securityContext.allowPrivilegeEscalation"), false);
    must(`${name}: capabilities`, at<readonly string[]>(container, "securityContext.capabilities.drop")?.join(), "ALL");
    must(`${name}: privileged`, at(container, "securityContext.privileged"), undefined);
    if (at(container, "resources.limits.memory") === undefined) problems.push(`${name} has no limit of memory`);
    if (!/^[^@]+(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$/.test(image))
      problems.push(`${name}: the image ${image} is not fixed`);
  }
  return problems;
}

function mountProblems(deployment: KubernetesObject, objects: readonly KubernetesObject[]): string[] {
  const problems: string[] = [];
  const volumes = at<readonly { readonly name: string }[]>(deployment, "spec.template.spec.volumes") ?? [];
  const mounts = containersOf(deployment).flatMap(({ volumeMounts = [] }) => volumeMounts);
  for (const { name } of mounts) if (!volumes.some((each) => each.name === name)) problems.push(`no volume ${name}`);
  for (const volume of volumes) {
    if (!mounts.some(({ name }) => name === volume.name)) problems.push(`nobody mounts the volume ${volume.name}`);
    const map = at<string>(volume, "configMap.name");
    const isThere = objects.some(({ kind, metadata }) => kind === "ConfigMap" && metadata.name === map);
    if (map !== undefined && !isThere) problems.push(`no ConfigMap ${map}`);
  }
  return problems;
}

/** The picker's flags say the same as ports, mounts, probes and grace period. */
function pickerProblems(deployment: KubernetesObject, objects: readonly KubernetesObject[]): string[] {
  const problems: string[] = [];
  const flags = flagsOf(deployment);
  const container = containersOf(deployment).find(({ name }) => name === "epp");
  for (const [flag, name] of [
    ["grpc-port", "grpc-ext-proc"],
    ["grpc-health-port", "grpc-health"],
    ["metrics-port", "metrics"],
  ] as const) {
    const port = container?.ports?.find((each) => each.name === name)?.containerPort;
    if (flags.get(flag) !== String(port))
      problems.push(`--${flag}=${flags.get(flag)}, and the port ${name} is ${port}`);
  }
  for (const flag of ["config-file", "cert-path", "metrics-cert-dir", "metrics-client-ca-file"]) {
    const path = flags.get(flag);
    const isMounted = container?.volumeMounts?.some(({ mountPath }) => `${path}/`.startsWith(`${mountPath}/`));
    if (path !== undefined && isMounted !== true) problems.push(`--${flag}=${path} is not mounted`);
  }
  for (const [probe, service] of [
    ["livenessProbe", "liveness"],
    ["readinessProbe", "readiness"],
  ] as const) {
    if (at(container, `${probe}.grpc.service`) !== service) problems.push(`${probe} does not ask for ${service}`);
    if (String(at(container, `${probe}.grpc.port`)) !== flags.get("grpc-health-port"))
      problems.push(`${probe}: other port`);
  }
  const graceSeconds = at<number>(deployment, "spec.template.spec.terminationGracePeriodSeconds") ?? 0;
  if (graceSeconds < Number.parseInt(flags.get("drain-timeout") ?? "", 10) + drainOfOpenRequestsSeconds) {
    problems.push(`the grace period of ${graceSeconds} s is too short`);
  }
  if (at(container, "lifecycle") !== undefined) problems.push("the picker drains by itself, and has a lifecycle hook");
  const account = at<string>(deployment, "spec.template.spec.serviceAccountName");
  for (const { kind, metadata, ...rest } of objects.filter((each) => each.kind.endsWith("RoleBinding"))) {
    const subjects = at<readonly { readonly name: string }[]>(rest, "subjects") ?? [];
    if (!metadata.name.endsWith("-reader") && subjects[0]?.name !== account)
      problems.push(`${kind} binds ${subjects[0]?.name}`);
  }
  const elects = flags.get("ha-enable-leader-election") === "true";
  const unavailable = at(deployment, "spec.strategy.rollingUpdate.maxUnavailable");
  if (unavailable !== (elects ? "100%" : 0)) problems.push(`election: ${elects}, maxUnavailable: ${unavailable}`);
  return problems;
}

function rightsProblems(objects: readonly KubernetesObject[]): string[] {
  return objects
    .filter(({ kind }) => kind === "Role" || kind === "ClusterRole")
    .filter((role) => JSON.stringify(at(role, "rules")).includes('"*"'))
    .map(({ metadata }) => `${metadata.name} has a right to everything`);
}
