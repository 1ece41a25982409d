import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EndpointDiscovery, EndpointMetadata } from "@pointsman/core";
import { buildPlugin, pluginContract } from "@pointsman/testkit";
import { afterAll, expect, test } from "vitest";
import plugin from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "multicluster-file-discovery-"));
afterAll(() => rmSync(folder, { recursive: true }));

pluginContract(plugin, { testFile: import.meta.url, params: { path: "clusters.yaml" } });

async function discovered(text: string): Promise<readonly EndpointMetadata[]> {
  writeFileSync(join(folder, "clusters.yaml"), text);
  const { instance } = buildPlugin(plugin, { params: { path: "clusters.yaml" }, baseDirectory: folder });
  const found: EndpointMetadata[] = [];
  // The contract above has checked the role.
  await (instance as EndpointDiscovery).startDiscovery({ upsert: (each) => found.push(each), remove: () => {} });
  await instance.dispose?.();
  return found;
}

test("labels say where a cluster's picker states its averages", async () => {
  const found = await discovered(`endpoints:
- {name: east, address: gw.east.example, port: 443, labels: {metricsAddress: epp.east.example, metricsPort: "9090"}}
- {name: west, address: gw.west.example, port: 443, labels: {metricsAddress: "fd00::1"}}
- {name: north, address: 10.0.0.1, port: 80, labels: {metricsPort: "9091"}}
- {name: south, address: 10.0.0.2, port: 80}
`);
  expect(found.map(({ metricsHost }) => metricsHost)).toEqual([
    "epp.east.example:9090",
    "[fd00::1]:443",
    "10.0.0.1:9091",
    "10.0.0.2:80",
  ]);
  expect(found[0]!.labels).toEqual({ metricsAddress: "epp.east.example", metricsPort: "9090" });
});

test("keys of the item go before labels", async () => {
  const [east] = await discovered(
    `endpoints: [{name: east, address: a.example, port: 443, metricsPort: 1, labels: {metricsPort: "2"}}]`,
  );
  expect(east!.metricsHost).toBe("a.example:1");
});

test("a label that is no address or port ends the start, with its place", async () => {
  await expect(
    discovered(
      `endpoints: [{name: a, address: a.example, port: 1, labels: {metricsAddress: "a b", metricsPort: "0"}}]`,
    ),
  ).rejects.toThrow(/:1:77 metricsAddress is "a b".*\n.*:1:97 metricsPort is "0"/);
});
