import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type Clock, EppError, errorText } from "@pointsman/core";
import type { ClusterAccess } from "./cluster-access.ts";
import { InClusterAccess, serviceAccountDirectory } from "./in-cluster-access.ts";
import { kubeconfigAccess } from "./kubeconfig-access.ts";

/**
 * Finds the way to the API server: the files of `KUBECONFIG`, else the pod's service account, else `~/.kube/config`.
 * Rejects with what was looked for when there is none, or when what there is cannot be read.
 */
export async function findAccess(
  environment: Readonly<Record<string, string | undefined>>,
  clock: Clock,
): Promise<ClusterAccess> {
  try {
    const named = (environment["KUBECONFIG"] ?? "").split(delimiter).filter((path) => path !== "");
    if (named.length > 0) return await kubeconfigAccess(named, clock);
    const [host, port] = [environment["KUBERNETES_SERVICE_HOST"] ?? "", environment["KUBERNETES_SERVICE_PORT"] ?? ""];
    if (host !== "" && port !== "" && existsSync(join(serviceAccountDirectory, "token"))) {
      return new InClusterAccess({ host, port, directory: serviceAccountDirectory, clock });
    }
    const home = join(environment["HOME"] ?? "", ".kube", "config");
    if ((environment["HOME"] ?? "") !== "" && existsSync(home)) return await kubeconfigAccess([home], clock);
  } catch (thrown: unknown) {
    throw new EppError("EPP_KUBERNETES_ACCESS", `no access to Kubernetes: ${errorText(thrown)}`, { cause: thrown });
  }
  throw new EppError(
    "EPP_KUBERNETES_ACCESS",
    "no access to Kubernetes: KUBECONFIG is not set, there is no service account of a pod, and no ~/.kube/config",
  );
}
