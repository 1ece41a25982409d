import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, type PollingSource, silentLogger } from "@pointsman/core";
import { buildEndpoint, buildPlugin, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { generate } from "selfsigned";
import { afterAll, expect, test } from "vitest";
import plugin from "./index.ts";
import { metricsAddress } from "./metrics-address.ts";

const folder = mkdtempSync(join(tmpdir(), "metrics-data-source-"));
afterAll(() => rmSync(folder, { recursive: true }));

const pem = await generate([{ name: "commonName", value: "authority" }], { keyType: "ec" });
const other = await generate([{ name: "commonName", value: "other" }], { keyType: "ec" });
for (const [name, text] of Object.entries({
  "ca.pem": `${pem.cert}\n${other.cert}`,
  "cert.pem": pem.cert,
  "key.pem": pem.private,
  "other-key.pem": other.private,
  "text.pem": "no certificate",
  "broken.pem": pem.cert.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA"),
})) {
  writeFileSync(join(folder, name), text);
}

pluginContract(plugin, { testFile: import.meta.url });

function build(params: object = {}): { source: PollingSource; warnings: string[] } {
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => warnings.push(message) };
  const { instance } = buildPlugin(plugin, { params, logger, baseDirectory: folder });
  // The contract above has checked the role.
  return { source: instance as PollingSource, warnings };
}

test("by default the page at the endpoint's metrics address is polled, over http and at the process's interval", () => {
  const { source, warnings } = build();
  const endpoint = buildEndpoint(0, { address: "10.0.0.7", port: 8000 });
  expect(source.pollTarget(endpoint)).toEqual({ scheme: "http", host: "10.0.0.7", port: 8000, path: "/metrics" });
  expect(source).toMatchObject({ payload: "prometheus-text", maxBodyBytes: 4 * 1024 * 1024 });
  expect(source.intervalMs).toBeUndefined();
  expect(source.tls).toBeUndefined();
  expect(warnings).toEqual([]);
});

test("a metrics address of its own is followed, and so are its changes", () => {
  const { source } = build({ scheme: "https", path: "/engine/metrics?format=text" });
  const endpoint = buildEndpoint(0);
  endpoint.update({ ...endpoint.metadata, metricsHost: "[fd00::7]:9100" });
  expect(source.pollTarget(endpoint)).toEqual({
    scheme: "https",
    host: "fd00::7",
    port: 9100,
    path: "/engine/metrics?format=text",
  });
  endpoint.update({ ...endpoint.metadata, metricsHost: "metrics.example:9101" });
  expect(source.pollTarget(endpoint)).toMatchObject({ host: "metrics.example", port: 9101 });
});

test("a port applies to the endpoint's address, not to its metrics address", () => {
  const { source } = build({ port: 9400 });
  const endpoint = buildEndpoint(0, { address: "10.0.0.7" });
  endpoint.update({ ...endpoint.metadata, metricsHost: "10.0.0.8:9100" });
  expect(source.pollTarget(endpoint)).toMatchObject({ host: "10.0.0.7", port: 9400 });
});

test("host and port come apart as they were put together", () => {
  const port = fc.integer({ min: 1, max: 65_535 });
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  fc.assert(
    fc.property(host, port, (address, portNumber) => {
      const text = address.includes(":") ? `[${address}]:${portNumber}` : `${address}:${portNumber}`;
      expect(metricsAddress(text)).toEqual({ host: address, port: portNumber });
    }),
  );
});

test.each(["", "10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "fd00::1:80", "[fd00::1]", ":80", "a:b"])(
  "%j is refused as a metrics address",
  (text) => expect(() => metricsAddress(text)).toThrow("is not host:port"),
);

test("a page that is no metrics page is complained of, an empty one is not", () => {
  const { source } = build();
  const check = (text: string): string | undefined => source.checkPayload?.(Buffer.from(text));
  expect(check("# TYPE up gauge\nup 1\n")).toBeUndefined();
  expect(check("")).toBeUndefined();
  expect(check("<html><body>Bad Gateway</body></html>")).toMatch(/HTML/);
  expect(check('{"detail":"Not Found"}')).toMatch(/neither comment nor sample/);
  expect(check("\u001f\u008b")).toBeDefined();
});

test("a page whose first lines do not show what it is is looked at as a whole", () => {
  const { source } = build();
  const check = (text: string): string | undefined => source.checkPayload?.(Buffer.from(text));
  expect(check(`up{label="${"x".repeat(5000)}"} 1\n`)).toBeUndefined();
  expect(check(`${"strange line\n".repeat(20)}${" ".repeat(3000)}\nup 1\n`)).toBeUndefined();
  expect(check(`${"strange line\n".repeat(1000)}up 1\n`)).toMatch(/neither comment nor sample/);
  expect(check(`{"a": "${"x".repeat(5000)}"}`)).toMatch(/neither comment nor sample/);
});

test.each([
  ["100ms", 100],
  ["1.5s", 1500],
  ["0", undefined],
  ["", undefined],
])("the interval %j is %j milliseconds", (interval, intervalMs) => {
  expect(build({ interval }).source.intervalMs).toBe(intervalMs);
});

test("an interval below 50 ms is raised, with a warning", () => {
  const { source, warnings } = build({ interval: "10ms" });
  expect(source.intervalMs).toBe(50);
  expect(warnings).toEqual(["the interval is below the smallest possible one"]);
});

test.each<[object, RegExp]>([
  [{ scheme: "ftp" }, /scheme: .*"http"\|"https"/],
  [{ path: "metrics" }, /path: must start with "\/"/],
  [{ path: "/a b" }, /path: must start with "\/" and hold printable ASCII characters without blanks/],
  [{ port: 0 }, /port: /],
  [{ port: 65_536 }, /port: /],
  [{ port: "9400" }, /port: /],
  [{ interval: "-1s" }, /interval: must be a duration such as "500ms" or "2s", not "-1s"/],
  [{ interval: "soon" }, /interval: must be a duration/],
  [{ interval: 5 }, /interval: must be a duration such as "500ms"/],
  [{ useNodeAddress: true }, /useNodeAddress/],
])("parameters %j are refused", (params, message) => {
  expect(() => build(params)).toThrow(message);
});

test("certificates are read relative to the configuration when it is made", () => {
  const { source } = build({
    scheme: "https",
    insecureSkipVerify: false,
    caCertPath: "ca.pem",
    clientCertPath: join(folder, "cert.pem"),
    clientKeyPath: "key.pem",
  });
  expect(source.tls).toEqual({
    insecureSkipVerify: false,
    ca: `${pem.cert}\n${other.cert}`,
    cert: pem.cert,
    key: pem.private,
  });
});

test("https without certificates skips verification by default", () => {
  expect(build({ scheme: "https", caCertPath: "", clientCertPath: "" }).source.tls).toEqual({
    insecureSkipVerify: true,
  });
});

test.each<[object, RegExp]>([
  [{ clientCertPath: "cert.pem" }, /clientCertPath is given without clientKeyPath; a client certificate needs both/],
  [{ clientKeyPath: "key.pem" }, /clientKeyPath is given without clientCertPath/],
  [{ insecureSkipVerify: false, caCertPath: "missing.pem" }, /caCertPath .*missing\.pem: ENOENT/],
  [{ insecureSkipVerify: false, caCertPath: "." }, /caCertPath .*: is not a regular file/],
  [{ insecureSkipVerify: false, caCertPath: "text.pem" }, /caCertPath .*text\.pem: holds no PEM certificate/],
  [{ insecureSkipVerify: false, caCertPath: "broken.pem" }, /caCertPath .*broken\.pem: /],
  [{ clientCertPath: "key.pem", clientKeyPath: "key.pem" }, /clientCertPath .*key\.pem: holds no PEM certificate/],
  [{ clientCertPath: "cert.pem", clientKeyPath: "text.pem" }, /clientKeyPath .*text\.pem: /],
  [{ clientCertPath: "cert.pem", clientKeyPath: "other-key.pem" }, /does not belong to the first certificate in/],
])("https with %j is refused", (params, message) => {
  expect(() => build({ scheme: "https", ...params })).toThrow(message);
});

test("certificates that have no effect are not read, and a warning says so", () => {
  expect(build({ caCertPath: "missing.pem" }).warnings).toEqual([
    "certificates have no effect with scheme http; set scheme: https to use them",
  ]);
  expect(build({ scheme: "https", caCertPath: "missing.pem" }).warnings).toEqual([
    "server certificates are not verified: caCertPath has no effect unless insecureSkipVerify is false",
  ]);
});
