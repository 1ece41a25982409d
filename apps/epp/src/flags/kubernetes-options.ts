import { selectorProblem } from "@pointsman/kube/label-selector";
import type { FlagValue, ParsedFlags } from "./parse-flags.ts";

/** Where Kubernetes says what the pool is. */
export type KubernetesOptions =
  | { readonly kind: "InferencePool"; readonly name: string; readonly group: string }
  | { readonly kind: "selector"; readonly selector: string; readonly targetPorts: readonly number[] };

export interface KubernetesChoice {
  /** `undefined`: the flags name no pool. A discovery plugin comes before what they name. */
  readonly kubernetes: KubernetesOptions | undefined;
  /** Name of the pool, where the flags and the environment give one. */
  readonly poolName: string | undefined;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

const maxPorts = 8;
/** Names of a Deployment's pods: the Deployment, its ReplicaSet's hash, five random letters. */
const podOfDeployment = /^(.+)-[a-z0-9]+-[a-z0-9]+$/;

/**
 * Reads the flags that choose a pool in Kubernetes: the name of an InferencePool, or a selector with ports. With a
 * selector the pool is called like the Deployment of the picker's own pod. Source: spec datalayer section 1.
 */
export function kubernetesChoice(
  { values, given }: ParsedFlags,
  environment: Readonly<Record<string, string | undefined>>,
): KubernetesChoice {
  const get = <T extends FlagValue>(name: string): T => values.get(name) as T;
  const problems: string[] = [];
  const warnings: string[] = [];
  const [name, selector] = [get<string>("pool-name"), get<string>("endpoint-selector")];
  if (name !== "" && selector !== "") {
    problems.push(
      "--pool-name and --endpoint-selector exclude each other: one names an InferencePool, the other is used without one",
    );
    return { kubernetes: undefined, poolName: undefined, problems, warnings };
  }
  if (selector === "") {
    if (given.has("endpoint-target-ports"))
      warnings.push("--endpoint-target-ports has no effect without --endpoint-selector");
    if (name === "") return { kubernetes: undefined, poolName: undefined, problems, warnings };
    const pool = { kind: "InferencePool", name, group: get<string>("pool-group") } as const;
    return { kubernetes: pool, poolName: name, problems, warnings };
  }
  const wrong = selectorProblem(selector);
  if (wrong !== undefined) problems.push(`--endpoint-selector ${wrong}`);
  const targetPorts = readPorts(get<readonly string[]>("endpoint-target-ports"), problems);
  const podName = environment["POD_NAME"] ?? "";
  const poolName = podOfDeployment.exec(podName)?.[1];
  if (poolName === undefined) {
    problems.push(
      podName === ""
        ? "--endpoint-selector needs the environment variable POD_NAME, out of which the pool gets its name; set it through the downward API"
        : `--endpoint-selector: the pool gets its name out of POD_NAME, and ${JSON.stringify(podName)} is no name of a Deployment's pod (NAME-HASH-RANDOM)`,
    );
  }
  return { kubernetes: { kind: "selector", selector, targetPorts }, poolName, problems, warnings };
}

function readPorts(texts: readonly string[], problems: string[]): readonly number[] {
  const ports = [...new Set(texts.map((text) => (/^\d{1,5}$/.test(text) ? Number(text) : Number.NaN)))];
  if (ports.length === 0)
    problems.push("--endpoint-selector needs --endpoint-target-ports: the ports that the selected pods serve on");
  if (ports.length > maxPorts)
    problems.push(`--endpoint-target-ports has ${ports.length} ports; at most ${maxPorts} are possible`);
  if (ports.some((port) => !(port > 0 && port < 65536))) {
    problems.push(`--endpoint-target-ports: ${JSON.stringify(texts.join(","))} is no list of ports from 1 to 65535`);
  }
  return ports;
}
