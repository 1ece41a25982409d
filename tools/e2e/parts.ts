import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../workspace-packages.ts";

function part(variable: string, what: string): string {
  const path = process.env[variable];
  if (path === undefined || path === "") throw new Error(`${variable} is not set: ${what}. .ci/run installs it.`);
  if (!existsSync(path)) throw new Error(`${variable}=${path} does not exist: ${what}`);
  return path;
}

/** Real parts that tests need. A missing one fails the test that asks for it; nothing is skipped. */
export const parts = {
  envoy: (): string => part("POINTSMAN_ENVOY", "path of an Envoy binary, 1.34 or later"),
  extload: (): string => part("POINTSMAN_EXTLOAD", "path of the ext_proc load client"),
  grpcGoClient: (): string => part("POINTSMAN_GRPC_GO_CLIENT", "path of the program of tools/e2e/grpc-go-client"),
  extecho: (): string => part("POINTSMAN_EXTECHO", "path of the grpc-go ext_proc echo"),
  poolsim: (): string => part("POINTSMAN_POOLSIM", "path of the simulator of a pool that judges decisions"),
  h2spec: (): string => part("POINTSMAN_H2SPEC", "path of the h2spec program"),
  trace: (): string => part("POINTSMAN_TRACE", "a Mooncake trace (JSON lines with hash_ids)"),
  etcd: (): string => part("POINTSMAN_ETCD", "path of the etcd program, 3.4 or later"),
  kubeApiserver: (): string =>
    part("POINTSMAN_KUBE_APISERVER", "path of the API server that tools/kube-apiserver builds"),
  helm: (): string => part("POINTSMAN_HELM", "path of the helm program, 3.20 or later, as tools/deploy/helm builds it"),
  hadolint: (): string => part("POINTSMAN_HADOLINT", "path of the hadolint program"),
  epp: join(root, "apps/epp/bin/epp"),
  modelSim: join(root, "apps/model-sim/bin/model-sim"),
};
