import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../workspace-packages.ts";
import { parts } from "./parts.ts";
import { freePort, Running } from "./running.ts";
import { until } from "./stack.ts";

/** Users that the API server knows by token: the token is `<name>-token`. */
export type User = "admin" | "epp" | "reader" | "nobody";
const users: readonly User[] = ["admin", "epp", "reader", "nobody"];

export interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export const namespace = "inference";

/** A real etcd and a real API server with RBAC, which can be stopped and started again. */
export class KubeCluster {
  readonly directory: string = mkdtempSync(join(tmpdir(), "pointsman-kube-"));
  #etcd: Running | undefined;
  #api: Running | undefined;
  #etcdPort = 0;
  #port = 0;
  #agent: Agent | undefined;

  /** Starts both, and makes the namespace, the CRDs and the rights of the picker. */
  async start(): Promise<void> {
    this.#etcdPort = await freePort();
    this.#port = await freePort();
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    writeFileSync(this.#file("sa.key"), privateKey.export({ type: "pkcs1", format: "pem" }));
    writeFileSync(this.#file("sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
    const tokens = users.map(
      (user) => `${user}-token,${user},uid-${user}${user === "admin" ? ',"system:masters"' : ""}`,
    );
    writeFileSync(this.#file("tokens.csv"), `${tokens.join("\n")}\n`);
    await this.startEtcd();
    await this.startApi();
    await this.must("POST", "/api/v1/namespaces", { metadata: { name: namespace } });
    await this.grant();
  }

  async startEtcd(): Promise<void> {
    const [client, peer] = [`http://127.0.0.1:${this.#etcdPort}`, `http://127.0.0.1:${await freePort()}`];
    this.#etcd = new Running("etcd", parts.etcd(), [
      ...["--data-dir", this.#file("etcd"), "--log-level", "warn"],
      ...["--listen-client-urls", client, "--advertise-client-urls", client],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`],
    ]);
    await until(
      "etcd answers",
      () =>
        fetch(`${client}/health`).then(
          ({ ok }) => ok,
          () => false,
        ),
      30_000,
    );
  }

  /** Starts the API server; it answers afterwards. */
  async startApi(): Promise<void> {
    this.#agent?.destroy();
    this.#agent = undefined;
    mkdirSync(this.#file("certs"), { recursive: true });
    this.#api = new Running("kube-apiserver", parts.kubeApiserver(), [
      `--etcd-servers=http://127.0.0.1:${this.#etcdPort}`,
      ...["--bind-address=127.0.0.1", `--secure-port=${this.#port}`, `--cert-dir=${this.#file("certs")}`],
      ...[
        "--service-account-issuer=https://kubernetes.default.svc",
        `--service-account-key-file=${this.#file("sa.pub")}`,
      ],
      `--service-account-signing-key-file=${this.#file("sa.key")}`,
      ...[`--token-auth-file=${this.#file("tokens.csv")}`, "--authorization-mode=RBAC"],
      ...[
        "--disable-admission-plugins=ServiceAccount",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16",
      ],
      // As production does, connections and watches end now and then.
      ...["--request-timeout=15s", "--min-request-timeout=60", "--goaway-chance=0.01", "--profiling=false"],
    ]);
    const api = this.#api;
    const ready = (): Promise<boolean> =>
      this.get("/readyz").then(
        ({ status }) => status === 200,
        () => false,
      );
    try {
      await until("the API server is ready", ready, 150_000);
    } catch (thrown: unknown) {
      throw new Error(`the API server does not get ready:\n${api.lines.slice(-40).join("\n")}`, { cause: thrown });
    }
  }

  async stopApi(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.#agent?.destroy();
    this.#agent = undefined;
    await this.#api?.stop(signal);
  }

  async stop(): Promise<void> {
    await this.stopApi();
    await this.#etcd?.stop("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Signals the API server: SIGSTOP makes it silent. */
  signalApi(signal: NodeJS.Signals): void {
    this.#api?.signal(signal);
  }

  /** Resident memory of the API server, MiB; undefined where there is no /proc. */
  get apiPid(): number | undefined {
    return this.#api?.pid;
  }

  /** A kubeconfig file for a user. */
  kubeconfig(user: User): string {
    return this.#kubeconfig(user, `${user}-token`);
  }

  /** A token of a ServiceAccount. */
  async accountToken(account: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
    const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
    const { status } = await this.must("POST", path, request);
    // As the API defines it.
    return (status as { readonly token: string }).token;
  }

  /** A kubeconfig file for a ServiceAccount. */
  async accountKubeconfig(account: string): Promise<string> {
    return this.#kubeconfig(`account-${account}`, await this.accountToken(account));
  }

  #kubeconfig(user: string, token: string): string {
    const path = this.#file(`${user}.kubeconfig`);
    const text = `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: ${user}, namespace: ${namespace}}}]
clusters: [{name: test, cluster: {server: "https://127.0.0.1:${this.#port}", certificate-authority: certs/apiserver.crt}}]
users: [{name: ${user}, user: {token: ${token}}}]
`;
    writeFileSync(path, text);
    return path;
  }

  /** Installs the CRDs of the picker whose file names are listed; all when none is. */
  async installCrds(...files: readonly string[]): Promise<void> {
    const folder = join(root, "apps/epp/deploy/crds");
    for (const file of files.length === 0 ? readdirSync(folder) : files) {
      const text = readFileSync(join(folder, file), "utf8");
      const { status, body } = await this.send(
        "POST",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        text,
        "admin",
      );
      if (status !== 201) throw new Error(`${file}: ${status} ${JSON.stringify(body)}`);
      const spec = body["spec"] as { group: string; names: { plural: string }; versions: { name: string }[] };
      const path = `/apis/${spec.group}/${spec.versions[0]!.name}/namespaces/${namespace}/${spec.names.plural}`;
      await until(`${file} is served`, async () => (await this.get(path)).status === 200);
    }
  }

  /** Gives the picker the rights that it needs, and `reader` those to read metrics. */
  async grant(): Promise<void> {
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    const bind = (role: string, user: User) => ({
      metadata: { name: `${role}-${user}` },
      subjects: [{ kind: "User", name: user, apiGroup: "rbac.authorization.k8s.io" }],
    });
    const read = ["get", "list", "watch"];
    await this.must("POST", `${rbac}/namespaces/${namespace}/roles`, {
      metadata: { name: "epp" },
      rules: [
        { apiGroups: [""], resources: ["pods"], verbs: read },
        { apiGroups: ["inference.networking.k8s.io"], resources: ["inferencepools"], verbs: read },
        {
          apiGroups: ["llm-d.ai", "inference.networking.x-k8s.io"],
          resources: ["inferenceobjectives", "inferencemodelrewrites"],
          verbs: read,
        },
        { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"] },
      ],
    });
    await this.must("POST", `${rbac}/namespaces/${namespace}/rolebindings`, {
      ...bind("epp", "epp"),
      roleRef: { kind: "Role", name: "epp", apiGroup: "rbac.authorization.k8s.io" },
    });
    await this.#clusterRole("epp-auth", "epp", [
      { apiGroups: ["authentication.k8s.io"], resources: ["tokenreviews"], verbs: ["create"] },
      { apiGroups: ["authorization.k8s.io"], resources: ["subjectaccessreviews"], verbs: ["create"] },
    ]);
    await this.#clusterRole("epp-metrics", "reader", [{ nonResourceURLs: ["/metrics"], verbs: ["get"] }]);
  }

  async #clusterRole(name: string, user: User, rules: readonly unknown[]): Promise<void> {
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    await this.must("POST", `${rbac}/clusterroles`, { metadata: { name }, rules });
    await this.must("POST", `${rbac}/clusterrolebindings`, {
      metadata: { name },
      roleRef: { kind: "ClusterRole", name, apiGroup: "rbac.authorization.k8s.io" },
      subjects: [{ kind: "User", name: user, apiGroup: "rbac.authorization.k8s.io" }],
    });
  }

  get(path: string, user: User = "admin"): Promise<Reply> {
    return this.send("GET", path, undefined, user);
  }

  /** Sends a request that must succeed. */
  async must(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const reply = await this.send(method, path, body, "admin");
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return reply.body;
  }

  /** Sends a request; a text is sent as YAML, anything else as JSON. */
  async send(method: string, path: string, body: unknown, user: User): Promise<Reply> {
    this.#agent ??= new Agent({ ca: readFileSync(this.#file("certs/apiserver.crt")), keepAlive: true, maxSockets: 16 });
    const agent = this.#agent;
    const type =
      typeof body === "string"
        ? "application/yaml"
        : method === "PATCH"
          ? "application/merge-patch+json"
          : "application/json";
    return await new Promise((resolve, reject) => {
      const sent = request(
        {
          host: "127.0.0.1",
          port: this.#port,
          path,
          method,
          agent,
          headers: { authorization: `Bearer ${user}-token`, "content-type": type, accept: "application/json" },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const text = Buffer.concat(chunks).toString();
            const isJson = text.startsWith("{");
            resolve({
              status: response.statusCode ?? 0,
              body: isJson ? (JSON.parse(text) as Record<string, unknown>) : { text },
            });
          });
        },
      );
      sent.setTimeout(20_000, () => sent.destroy(new Error("no answer")));
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
    });
  }

  /** Removes a key from etcd behind the API server's back while it is away: a deletion that nobody can have seen. */
  async deleteFromEtcd(key: string): Promise<void> {
    const reply = await fetch(`http://127.0.0.1:${this.#etcdPort}/v3/kv/deleterange`, {
      method: "POST",
      body: JSON.stringify({ key: Buffer.from(key).toString("base64") }),
    });
    const { deleted } = (await reply.json()) as { readonly deleted?: string };
    if (deleted !== "1") throw new Error(`${key} was not in etcd`);
  }

  #file(name: string): string {
    return join(this.directory, name);
  }
}
