import { nearestName } from "@pointsman/core";
import { parseBaseAddress } from "../gateway/base-address.ts";
import {
  type EncodeOptions,
  ecConnectorNames,
  kvConnectorNames,
  type RenderOptions,
  type ReplaceMediaUrlsOptions,
  type StepChoices,
  type StepOptions,
  type StepType,
} from "./coordinator-options.ts";
import { readConnections } from "./read-connections.ts";
import type { ConfigNode } from "./read-document.ts";
import { stepTable } from "./setting-table.ts";
import { type GivenSetting, SettingValues } from "./setting-values.ts";

const mebibyte = 1024 * 1024;

/** Reads `pipeline.steps`. `file` names the configuration where no step has a place. Problems are collected. */
export function readSteps(
  node: ConfigNode | undefined,
  file: string,
  defaults: StepChoices,
  problems: string[],
  warnings: string[],
): readonly StepOptions[] {
  if (node === undefined || (node.kind === "scalar" && node.value === null)) {
    problems.push(`${file}: pipeline.steps is missing: the steps a request takes, the last of them decode`);
    return [];
  }
  if (node.kind !== "list") {
    problems.push(`${node.where}: pipeline.steps must be a list`);
    return [];
  }
  const places: string[] = [];
  const steps: StepOptions[] = [];
  for (const item of node.items) {
    const step = readStep(item, defaults, problems);
    if (step === undefined) continue;
    if (steps.some(({ type }) => type === step.type)) problems.push(`${item.where}: a second step ${step.type}`);
    if (steps.at(-1)?.type === "decode") problems.push(`${item.where}: no step can come after decode`);
    steps.push(step);
    places.push(item.where);
  }
  if (steps.length === node.items.length && !steps.some(({ type }) => type === "decode")) {
    problems.push(`${node.where}: pipeline.steps has no step decode, so that nobody answers`);
  }
  checkOrder(steps, places, problems, warnings);
  return steps;
}

/** Token ids come from the render step, so it has to be there, before those that send them. */
function checkOrder(
  steps: readonly StepOptions[],
  places: readonly string[],
  problems: string[],
  warnings: string[],
): void {
  const renderAt = steps.findIndex(({ type }) => type === "render");
  for (const [index, step] of steps.entries()) {
    const isRendered = renderAt !== -1 && renderAt < index;
    const sendsTokens = (step.type === "prefill" || step.type === "encode") && !step.openAiFormat;
    if (sendsTokens && !isRendered) {
      problems.push(
        `${places[index]}: use_openai_format=false requires a "render" step before ${step.type}: it makes the token ids that are sent`,
      );
    } else if (step.type === "encode" && !isRendered) {
      warnings.push(`${places[index]}: encode never runs: it needs a "render" step before it, which finds the images`);
    }
    if (step.type === "render" && step.address === undefined) {
      warnings.push(`${places[index]}: render has no address: only requests that bring token ids can be served`);
    }
  }
}

function readStep(node: ConfigNode, defaults: StepChoices, problems: string[]): StepOptions | undefined {
  if (node.kind !== "map") {
    problems.push(`${node.where}: a step must be a map with "type" and "params"`);
    return undefined;
  }
  let type: StepType | undefined;
  let typeGiven = false;
  let params: ConfigNode | undefined;
  for (const { key, keyWhere, node: value } of node.entries) {
    if (key === "params") params = value;
    else if (key === "type") {
      typeGiven = true;
      type = stepType(value, problems);
    } else problems.push(`${keyWhere}: a step has no ${JSON.stringify(key.slice(0, 64))}, only type and params`);
  }
  if (!typeGiven) problems.push(`${node.where}: a step without a type`);
  if (type === undefined) return undefined;
  const values = new SettingValues(stepTable[type], givenParams(type, params, problems), problems);
  const choices: StepChoices = {
    kvConnector: values.oneOf("kv_connector", kvConnectorNames) ?? defaults.kvConnector,
    ecConnector: values.oneOf("ec_connector", ecConnectorNames) ?? defaults.ecConnector,
    openAiFormat: values.boolean("use_openai_format") ?? defaults.openAiFormat,
  };
  switch (type) {
    case "replace-media-urls":
      return { type, ...choices, ...mediaOptions(values) };
    case "render":
      return { type, ...choices, ...renderOptions(values) };
    case "encode":
      return { type, ...choices, ...encodeOptions(values) };
    default:
      return { type, ...choices };
  }
}

function stepType(node: ConfigNode, problems: string[]): StepType | undefined {
  const text = node.kind === "scalar" ? String(node.value) : "";
  const types = Object.keys(stepTable) as StepType[];
  const found = types.find((each) => each === text);
  if (found !== undefined) return found;
  const near = nearestName(text, types);
  problems.push(
    `${node.where}: unknown step type: ${text.slice(0, 64)}; ${near === undefined ? `types: ${types.join(", ")}` : `did you mean "${near}"?`}`,
  );
  return undefined;
}

function givenParams(
  type: StepType,
  node: ConfigNode | undefined,
  problems: string[],
): ReadonlyMap<string, GivenSetting> {
  const given = new Map<string, GivenSetting>();
  if (node === undefined || (node.kind === "scalar" && node.value === null)) return given;
  if (node.kind !== "map") {
    problems.push(`${node.where}: params must be a map`);
    return given;
  }
  const names = stepTable[type].map(({ name }) => name);
  for (const { key, keyWhere, node: value } of node.entries) {
    if (names.includes(key)) given.set(key, { where: `${value.where}: ${key}`, node: value });
    else {
      const near = nearestName(key, names);
      const hint = near === undefined ? "" : `; did you mean "${near}"?`;
      problems.push(`${keyWhere}: ${type} has no parameter ${JSON.stringify(key.slice(0, 64))}${hint}`);
    }
  }
  return given;
}

function mediaOptions(values: SettingValues): Omit<ReplaceMediaUrlsOptions, "type" | keyof StepChoices> {
  const hosts = values.texts("allowed_domains");
  return {
    downloadTimeoutMs: values.durationLimitMs("download_timeout"),
    maxConcurrentDownloads: values.integer("max_concurrent_downloads"),
    maxImages: values.integerLimit("max_multimodal_entries"),
    maxDownloadBytes: values.integer("max_download_size") * mebibyte,
    maxTotalDownloadBytes: values.integer("max_total_download_size") * mebibyte,
    allowPrivateNetworks: values.boolean("allow_private_networks") === true,
    allowedHosts: hosts === undefined ? undefined : new Set(hosts.map((host) => host.toLowerCase())),
  };
}

function renderOptions(values: SettingValues): Omit<RenderOptions, "type" | keyof StepChoices> {
  const text = values.text("address");
  const address = text === "" ? undefined : parseBaseAddress(text);
  if (text !== "" && address === undefined) {
    values.wrong(
      "address",
      `must be an http or https URL without user, query and fragment, got ${JSON.stringify(text.slice(0, 64))}`,
    );
  }
  return {
    address,
    timeoutMs: values.durationLimitMs("timeout"),
    connections: readConnections(values, ""),
    maxPromptTokens: values.integerLimit("max_total_tokens"),
    maxPlaceholderTokens: values.integerLimit("max_total_placeholder_tokens"),
  };
}

function encodeOptions(values: SettingValues): Omit<EncodeOptions, "type" | keyof StepChoices> {
  return { maxParallel: values.integer("max_parallel") };
}
