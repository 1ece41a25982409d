import type { Parser } from "@pointsman/core";
import { healthStatus } from "@pointsman/ext-proc";
import { expect, test } from "vitest";
import { type EppHealthOptions, eppHealth } from "./epp-health.ts";

const extProc = "envoy.service.ext_proc.v3.ExternalProcessor";
const services = ["", "readiness", extProc, "liveness", "inference-extension"];
const letters: Readonly<Record<number, string>> = {
  [healthStatus.serving]: "S",
  [healthStatus.notServing]: "n",
  [healthStatus.serviceUnknown]: "?",
};

function statuses(options: Partial<EppHealthOptions>): string {
  const health = eppHealth({
    notSynced: () => undefined,
    draining: () => false,
    parsers: () => [],
    plugins: () => [],
    ...options,
  });
  return services.map((service) => letters[health.check(service)]).join("");
}

const leading = () => true;
const following = () => false;
const waiting = { notSynced: () => "the pool is not known yet" };
const draining = { draining: () => true };
const unready = { plugins: () => [{ name: "p", type: "p", instance: { notReady: () => "cold" } }] };

// In the order of `services`. Source: spec ext-proc section 10.6; liveness needs nothing.
test.each<[string, Partial<EppHealthOptions>, string]>([
  ["all well", {}, "SSSSS"],
  ["pool not known", waiting, "nnnSn"],
  ["draining", draining, "nnnSn"],
  ["plugin not ready", unready, "nnnSS"],
  ["leading", { leading }, "SSSS?"],
  ["standing by", { leading: following }, "nnnS?"],
  ["leading, pool not known", { leading, ...waiting }, "nnnS?"],
  ["leading, draining", { leading, ...draining }, "nnnS?"],
  ["leading, plugin not ready", { leading, ...unready }, "nnnS?"],
])("%s", (_what, options, expected) => {
  expect(statuses(options)).toBe(expected);
});

test("List names the ext_proc service; with leader election those of the probes, too", () => {
  const common = { notSynced: () => undefined, draining: () => false, parsers: () => [], plugins: () => [] };
  expect(eppHealth(common).listed).toEqual([extProc]);
  expect(eppHealth({ ...common, leading }).listed).toEqual([extProc, "liveness", "readiness"]);
});

test("a pool whose protocol a parser does not speak is not served, from the moment the pool says so", () => {
  let appProtocol: string | undefined;
  // Health reads what protocols the parser claims, and nothing else of it.
  const instance = { appProtocols: ["kubernetes.io/h2c"] } as unknown as Parser;
  const health = eppHealth({
    notSynced: () => undefined,
    draining: () => false,
    parsers: () => [{ name: "grpc", type: "vllmgrpc-parser", instance }],
    plugins: () => [],
    appProtocol: () => appProtocol,
  });
  expect(health.notServing("readiness")).toBeUndefined();
  appProtocol = "http";
  expect(health.notServing("readiness")).toContain('parser "grpc"');
  expect(health.notServing("liveness")).toBeUndefined();
});
