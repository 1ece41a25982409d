import { readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import type { Clock } from "@pointsman/core";
import { AgentCache } from "./agent-cache.ts";
import type { ClusterAccess, Credentials } from "./cluster-access.ts";
import { RotatingFile } from "./rotating-file.ts";

/** Where the kubelet puts a pod's service account. */
export const serviceAccountDirectory: string = "/var/run/secrets/kubernetes.io/serviceaccount";

export interface InClusterOptions {
  /** `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`. */
  readonly host: string;
  readonly port: string;
  readonly directory: string;
  readonly clock: Clock;
}

/** Access of a pod through its service account. */
export class InClusterAccess implements ClusterAccess {
  readonly server: URL;
  readonly origin: string = "in-cluster";
  readonly namespace: string | undefined;
  readonly #token: RotatingFile;
  readonly #ca: RotatingFile;
  readonly #agents = new AgentCache();

  constructor({ host, port, directory, clock }: InClusterOptions) {
    this.server = new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`);
    this.#token = new RotatingFile(join(directory, "token"), clock);
    this.#ca = new RotatingFile(join(directory, "ca.crt"), clock);
    this.namespace = namespaceIn(directory);
  }

  async credentials(): Promise<Credentials> {
    const [token, ca] = await Promise.all([this.#token.read(), this.#ca.read()]);
    return { headers: { authorization: `Bearer ${token.trim()}` }, agent: this.#agents.agentFor({ ca }) };
  }

  refused(): void {
    this.#token.expire();
    this.#ca.expire();
  }
}

function namespaceIn(directory: string): string | undefined {
  try {
    return readFileSync(join(directory, "namespace"), "utf8").trim() || undefined;
  } catch {
    // A token may be mounted without it.
    return undefined;
  }
}
