import { readFile } from "node:fs/promises";
import { Agent } from "node:http";
import type { RequestOptions } from "node:https";
import { dirname, resolve } from "node:path";
import { type Clock, errorText } from "@pointsman/core";
import { AgentCache, type ServerTls } from "./agent-cache.ts";
import type { ClusterAccess, Credentials } from "./cluster-access.ts";
import { asList, asRecord, asText, type JsonRecord } from "./json-value.ts";
import { RotatingFile } from "./rotating-file.ts";

const maxBytes = 4 * 1024 * 1024;

/** A setting that stands in the file itself or in another one. */
type Material = { readonly data: Buffer } | { readonly file: RotatingFile } | undefined;

/**
 * Access that kubeconfig files describe; of several files, the first entry of each name counts, as with kubectl.
 *
 * Tokens, token files, certificates and basic authentication are served here. Users with `exec` or `auth-provider`, and
 * clusters behind a proxy, are served by the Kubernetes client library, which is loaded for them alone: loading it takes
 * longer than a start of the picker, and 90 MB.
 */
export async function kubeconfigAccess(paths: readonly string[], clock: Clock): Promise<ClusterAccess> {
  const merged = {
    clusters: new Map<string, Entry>(),
    users: new Map<string, Entry>(),
    contexts: new Map<string, Entry>(),
  };
  let currentContext: string | undefined;
  for (const path of paths) {
    const config = await readConfig(path);
    currentContext ??= asText(config["current-context"]);
    for (const [list, key] of [
      ["clusters", "cluster"],
      ["users", "user"],
      ["contexts", "context"],
    ] as const) {
      for (const item of asList(config[list])) {
        const name = asText(asRecord(item)["name"]);
        if (name === undefined || merged[list].has(name)) continue;
        merged[list].set(name, { fields: asRecord(asRecord(item)[key]), directory: dirname(resolve(path)) });
      }
    }
  }
  const origin = paths.join(":");
  const context = merged.contexts.get(currentContext ?? "");
  if (context === undefined)
    throw new Error(`${origin}: no context ${JSON.stringify(currentContext ?? "")}; set current-context`);
  const clusterName = asText(context.fields["cluster"]) ?? "";
  const cluster = merged.clusters.get(clusterName);
  if (cluster === undefined)
    throw new Error(
      `${origin}: the current context names the cluster ${JSON.stringify(clusterName)}, which is not there`,
    );
  const user = merged.users.get(asText(context.fields["user"]) ?? "") ?? { fields: {}, directory: cluster.directory };
  const namespace = asText(context.fields["namespace"]);
  const server = serverUrl(cluster.fields["server"], origin);
  const special = user.fields["exec"] ?? user.fields["auth-provider"] ?? cluster.fields["proxy-url"];
  if (special !== undefined) return new LibraryAccess(paths, server, namespace);
  return new KubeconfigAccess({ origin, server, namespace, cluster, user, clock });
}

interface Entry {
  readonly fields: JsonRecord;
  /** Relative paths start here. */
  readonly directory: string;
}

async function readConfig(path: string): Promise<JsonRecord> {
  const bytes = await readFile(path);
  if (bytes.length > maxBytes) throw new Error(`${path} has more than ${maxBytes} bytes`);
  // Pods have no kubeconfig, and no need of a YAML parser.
  const { parse } = await import("yaml");
  try {
    return asRecord(parse(bytes.toString("utf8")));
  } catch (thrown) {
    throw new Error(`${path} is no kubeconfig: ${errorText(thrown)}`, { cause: thrown });
  }
}

function serverUrl(value: unknown, origin: string): URL {
  const text = asText(value) ?? "";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new Error(`${origin}: the cluster's server ${JSON.stringify(text)} is no http or https URL`);
  }
  return url;
}

interface KubeconfigParts {
  readonly origin: string;
  readonly server: URL;
  readonly namespace: string | undefined;
  readonly cluster: Entry;
  readonly user: Entry;
  readonly clock: Clock;
}

class KubeconfigAccess implements ClusterAccess {
  readonly server: URL;
  readonly origin: string;
  readonly namespace: string | undefined;
  readonly #agents = new AgentCache();
  readonly #tls: ServerTls;
  readonly #ca: Material;
  readonly #cert: Material;
  readonly #key: Material;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #tokenFile: RotatingFile | undefined;

  constructor({ origin, server, namespace, cluster, user, clock }: KubeconfigParts) {
    this.origin = origin;
    this.server = server;
    this.namespace = namespace;
    const servername = asText(cluster.fields["tls-server-name"]);
    this.#tls = {
      ...(cluster.fields["insecure-skip-tls-verify"] === true ? { rejectUnauthorized: false } : {}),
      ...(servername === undefined ? {} : { servername }),
    };
    this.#ca = material(cluster, "certificate-authority", clock);
    this.#cert = material(user, "client-certificate", clock);
    this.#key = material(user, "client-key", clock);
    const headers: Record<string, string> = {};
    const [token, tokenFile] = [asText(user.fields["token"]), asText(user.fields["tokenFile"])];
    // As in Kubernetes' own clients, the file is read again and the token beside it is only its first value.
    this.#tokenFile = tokenFile === undefined ? undefined : new RotatingFile(resolve(user.directory, tokenFile), clock);
    const name = asText(user.fields["username"]);
    if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
    else if (name !== undefined) {
      const pair = `${name}:${asText(user.fields["password"]) ?? ""}`;
      headers["authorization"] = `Basic ${Buffer.from(pair).toString("base64")}`;
    }
    const impersonated = asText(user.fields["as"]);
    if (impersonated !== undefined) headers["impersonate-user"] = impersonated;
    this.#headers = headers;
  }

  async credentials(): Promise<Credentials> {
    const [ca, cert, key, token] = await Promise.all([
      contentOf(this.#ca),
      contentOf(this.#cert),
      contentOf(this.#key),
      this.#tokenFile?.read(),
    ]);
    const tls = {
      ...this.#tls,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    };
    const headers = token === undefined ? this.#headers : { ...this.#headers, authorization: `Bearer ${token.trim()}` };
    return { headers, agent: this.#agents.agentFor(this.server.protocol === "https:" ? tls : undefined) };
  }

  refused(): void {
    this.#tokenFile?.expire();
    for (const each of [this.#ca, this.#cert, this.#key]) if (each !== undefined && "file" in each) each.file.expire();
  }
}

function material({ fields, directory }: Entry, name: string, clock: Clock): Material {
  const data = asText(fields[`${name}-data`]);
  if (data !== undefined) return { data: Buffer.from(data, "base64") };
  const path = asText(fields[name]);
  return path === undefined ? undefined : { file: new RotatingFile(resolve(directory, path), clock) };
}

async function contentOf(given: Material): Promise<string | Buffer | undefined> {
  if (given === undefined) return undefined;
  return "data" in given ? given.data : given.file.read();
}

/** Access by way of the Kubernetes client library: command plug-ins, OpenID Connect, proxies. */
class LibraryAccess implements ClusterAccess {
  readonly server: URL;
  readonly origin: string;
  readonly namespace: string | undefined;
  readonly #paths: readonly string[];
  #config: Promise<LibraryConfig> | undefined;

  constructor(paths: readonly string[], server: URL, namespace: string | undefined) {
    this.#paths = paths;
    this.origin = paths.join(":");
    this.server = server;
    this.namespace = namespace;
  }

  async credentials(): Promise<Credentials> {
    this.#config ??= load(this.#paths);
    const options: RequestOptions = {};
    const config = await this.#config;
    await config.applyToHTTPSOptions(options);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value);
    if (typeof options.auth === "string")
      headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`;
    if (!(options.agent instanceof Agent)) throw new Error(`${this.origin}: the client library gave no way to connect`);
    return { headers, agent: options.agent };
  }

  refused(): void {
    this.#config = undefined;
  }
}

interface LibraryConfig {
  applyToHTTPSOptions(options: RequestOptions): Promise<void>;
}

async function load(paths: readonly string[]): Promise<LibraryConfig> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  for (const [index, path] of paths.entries()) {
    if (index === 0) config.loadFromFile(path);
    else {
      const more = new KubeConfig();
      more.loadFromFile(path);
      config.mergeConfig(more, true);
    }
  }
  return config;
}
