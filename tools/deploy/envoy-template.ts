import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../workspace-packages.ts";

/** Values that appear nowhere else in a bootstrap, and what the chart writes in their place. */
const expressions: readonly (readonly [value: string, expression: string])[] = [
  ["50001", "{{ .Values.standalone.port }}"],
  ["50002", "{{ .Values.standalone.envoy.adminPort }}"],
  ["50003", "{{ .Values.ports.extProc }}"],
  ["picker.invalid", "{{ .picker.address }}"],
];
const dnsType = "type: STRICT_DNS";

/** Runs `epp envoy-config`. */
export function envoyConfig(flags: readonly string[]): string {
  return execFileSync(join(root, "apps/epp/bin/epp"), ["envoy-config", ...flags], { encoding: "utf8" });
}

/**
 * The template of Envoy's bootstrap in the chart: what `epp envoy-config` prints, with expressions in the place of ports,
 * address and cluster type, and a condition around what TLS adds.
 */
export function envoyTemplate(): string {
  const flags = [
    ...["--listen-address=0.0.0.0", "--listen-port=50001", "--admin-port=50002", "--grpc-port=50003"],
    "--epp-address=picker.invalid",
  ];
  const plain = envoyConfig([...flags, "--secure-serving=false"]).split("\n");
  const secure = envoyConfig([...flags, "--secure-serving=true"]).split("\n");
  const first = secure.findIndex((line, at) => line !== plain[at]);
  const added = secure.length - plain.length;
  if (added <= 0 || secure.toSpliced(first, added).join("\n") !== plain.join("\n")) {
    throw new Error("TLS does not add one run of lines to Envoy's bootstrap");
  }
  const lines = [
    ...secure.slice(0, first),
    "{{- if .Values.tls.enabled }}",
    ...secure.slice(first, first + added),
    "{{- end }}",
    ...secure.slice(first + added),
  ];
  let text = lines.join("\n").trimEnd();
  if (text.includes("{{ ") || text.split(dnsType).length !== 2) {
    throw new Error(`Envoy's bootstrap must contain "${dnsType}" once, and no expression`);
  }
  text = text.replace(dnsType, "type: {{ .picker.clusterType }}");
  for (const [value, expression] of expressions) {
    if (text.split(value).length !== 2) throw new Error(`Envoy's bootstrap must contain ${value} once`);
    text = text.replace(value, expression);
  }
  return `{{- /* Made by tools/deploy/generate.ts. */ -}}\n${text}\n`;
}
