import { readFileSync } from "node:fs";
import { errorText, nearestName } from "@pointsman/core";
import { parseBaseAddress } from "../gateway/base-address.ts";
import {
  type CoordinatorOptions,
  ecConnectorNames,
  kvConnectorNames,
  type StepChoices,
} from "./coordinator-options.ts";
import { parseArguments } from "./parse-arguments.ts";
import { readConnections } from "./read-connections.ts";
import { type ConfigEntry, type ConfigNode, readDocument } from "./read-document.ts";
import { readSteps } from "./read-steps.ts";
import { settingTable, variableOf } from "./setting-table.ts";
import { type GivenSetting, SettingValues } from "./setting-values.ts";

/** The result, or every problem of flags, configuration and environment. */
export type LoadedCoordinator =
  | { readonly options: CoordinatorOptions; readonly verbosity: number; readonly warnings: readonly string[] }
  | { readonly problems: readonly string[] };

type Environment = Readonly<Record<string, string | undefined>>;

const mebibyte = 1024 * 1024;
const sections = ["server", "gateway", "pipeline"];

/** Works out what a command line, its configuration file and the environment ask for. Never throws. */
export function loadOptions(args: readonly string[], environment: Environment): LoadedCoordinator {
  const given = parseArguments(args);
  const problems = [...given.problems];
  const warnings = [...given.warnings];
  const root = readFile(given.configFile, problems);
  // Without a document that can be read, everything else would only follow from that.
  if (root === "unreadable") return { problems };
  const settings = new Map<string, GivenSetting>();
  const stepsNode = collectSettings(root, settings, problems);
  collectEnvironment(environment, settings, warnings);
  const values = new SettingValues(settingTable, settings, problems);

  const listen = listenAddress(values);
  const address = gatewayAddress(values);
  const choices: StepChoices = {
    kvConnector: values.oneOf("pipeline.kv_connector", kvConnectorNames) ?? "kv-shared-storage",
    ecConnector: values.oneOf("pipeline.ec_connector", ecConnectorNames) ?? "ec-shared-storage",
    openAiFormat: values.boolean("pipeline.use_openai_format") ?? true,
  };
  const bodyMebibytes = values.integer("server.max_request_body_size");
  const bootstrapHost = values.text("pipeline.sglang_bootstrap_host");
  const steps = readSteps(stepsNode, given.configFile, choices, problems, warnings);
  const metricsPort = values.integer("server.metrics_port");
  const options: Omit<CoordinatorOptions, "gateway"> = {
    ...listen,
    metricsPort: given.metricsPort ?? metricsPort,
    readTimeoutMs: values.durationLimitMs("server.read_timeout"),
    writeTimeoutMs: values.durationLimitMs("server.write_timeout"),
    shutdownTimeoutMs: values.durationMs("server.shutdown_timeout"),
    maxBodyBytes: (bodyMebibytes === 0 ? 64 : bodyMebibytes) * mebibyte,
    maxReplyBytes: values.integer("gateway.max_response_body_size") * mebibyte,
    steps,
    sglang: {
      bootstrapPort: bootstrapPort(environment, problems),
      bootstrapHost: bootstrapHost === "" ? undefined : bootstrapHost,
    },
    tracing: values.boolean("tracing") === true,
  };
  const gateway = {
    connections: readConnections(values, "gateway."),
    timeoutMs: values.durationLimitMs("gateway.timeout"),
    decodeTimeoutMs: values.durationLimitMs("gateway.decode_timeout"),
  };
  const verbosity = given.verbosity ?? values.integer("log_level");
  if (problems.length > 0 || address === undefined) return { problems };
  return { options: { ...options, gateway: { ...gateway, address } }, verbosity, warnings };
}

function readFile(file: string, problems: string[]): ReturnType<typeof readDocument> {
  try {
    return readDocument(readFileSync(file, "utf8"), file, problems);
  } catch (thrown: unknown) {
    problems.push(`--config: cannot read ${file}: ${errorText(thrown)}`);
    return "unreadable";
  }
}

/** Puts what a document says into `settings`. Returns the node of `pipeline.steps`. */
function collectSettings(
  root: ConfigNode | undefined,
  settings: Map<string, GivenSetting>,
  problems: string[],
): ConfigNode | undefined {
  if (root === undefined) return undefined;
  if (root.kind !== "map") {
    problems.push(`${root.where}: the configuration must be a map of settings, not a ${root.kind}`);
    return undefined;
  }
  let steps: ConfigNode | undefined;
  const take = (entry: ConfigEntry, prefix: string): void => {
    const name = `${prefix}${entry.key}`;
    if (name === "pipeline.steps") steps = entry.node;
    else if (settingTable.some((spec) => spec.name === name)) {
      settings.set(name, { where: `${entry.node.where}: ${name}`, node: entry.node });
    } else problems.push(`${entry.keyWhere}: unknown key ${quoted(name)}${hint(name, prefix)}`);
  };
  for (const entry of root.entries) {
    if (!sections.includes(entry.key)) take(entry, "");
    else if (entry.node.kind === "map") for (const inner of entry.node.entries) take(inner, `${entry.key}.`);
    else if (entry.node.kind !== "scalar" || entry.node.value !== null) {
      problems.push(`${entry.node.where}: ${entry.key} must be a map of settings`);
    }
  }
  return steps;
}

function hint(name: string, prefix: string): string {
  const known = settingTable.map((spec) => spec.name).filter((each) => each.startsWith(prefix));
  const near = nearestName(name, prefix === "" ? [...sections, ...known] : [...known, "pipeline.steps"]);
  return near === undefined ? "" : `; did you mean "${near}"?`;
}

/** Variables win over the file. Empty ones count as not given. */
function collectEnvironment(environment: Environment, settings: Map<string, GivenSetting>, warnings: string[]): void {
  const variables = new Set<string>();
  for (const { name } of settingTable) {
    const variable = variableOf(name);
    variables.add(variable);
    const value = environment[variable];
    if (value === undefined || value === "") continue;
    const where = `environment variable ${variable}`;
    settings.set(name, { where, node: { kind: "scalar", value, where } });
  }
  for (const variable of Object.keys(environment)) {
    // Kubernetes sets variables of its own for a service of that name.
    if (!/^COORDINATOR_(LOG|SERVER|GATEWAY|PIPELINE)_/.test(variable) || variables.has(variable)) continue;
    if (/_SERVICE_(HOST|PORT)|_PORT($|_[0-9])/.test(variable)) continue;
    const near = nearestName(variable, variables);
    warnings.push(`environment variable ${variable} names no setting${near === undefined ? "" : `; nearest: ${near}`}`);
  }
}

function listenAddress(values: SettingValues): { readonly host: string | undefined; readonly port: number } {
  const text = values.text("server.listen_addr");
  const found = /^(\[[0-9a-fA-F:.]+\]|[^:\s[\]]*):([0-9]{1,5})$/.exec(text);
  const port = Number(found?.[2]);
  if (found === null || port > 65_535) {
    values.wrong("server.listen_addr", `must be host:port or :port, got ${quoted(text)}`);
    return { host: undefined, port: 0 };
  }
  const host = found[1]!.replace(/^\[|\]$/g, "");
  return { host: host === "" ? undefined : host, port };
}

function gatewayAddress(values: SettingValues): CoordinatorOptions["gateway"]["address"] | undefined {
  const text = values.text("gateway.address");
  const address = parseBaseAddress(text);
  if (text === "")
    values.wrong("gateway.address", "is missing: the base URL of the gateway, such as http://gateway:80");
  else if (address === undefined) {
    values.wrong(
      "gateway.address",
      `must be an http or https URL without user, query and fragment, got ${quoted(text)}`,
    );
  }
  return address;
}

function bootstrapPort(environment: Environment, problems: string[]): number {
  const text = environment["SGLANG_BOOTSTRAP_PORT"] ?? "";
  if (text === "") return 8998;
  const port = Number(text);
  if (/^[0-9]{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  problems.push(`environment variable SGLANG_BOOTSTRAP_PORT must be a port from 1 to 65535, got ${quoted(text)}`);
  return 8998;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
