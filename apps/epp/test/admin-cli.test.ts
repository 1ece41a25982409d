import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DecisionLog, silentLogger, systemClock } from "@pointsman/core";
import { createPrometheusMetrics } from "@pointsman/telemetry";
import { generate } from "selfsigned";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { type AdminServer, type AdminServerOptions, createAdminServer } from "../src/admin/admin-server.ts";

// Each case starts processes, which takes seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const bin = fileURLToPath(new URL("../bin/epp", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "epp-admin-"));
const servers: AdminServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Pair {
  readonly cert: string;
  readonly key: string;
}
let serving: Pair;
beforeAll(async () => {
  const made = await generate([{ name: "commonName", value: "llm-epp" }], {
    keyType: "ec",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "subjectAltName", altNames: [{ type: 2, value: "llm-epp.inference.svc" }] },
    ],
  });
  serving = { cert: made.cert, key: made.private };
});

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** A metrics port that lets one token in, as the API server would; `good` may ask, `known` may not. */
async function serve(options: Partial<AdminServerOptions> = {}): Promise<number> {
  const server = createAdminServer({
    host: "127.0.0.1",
    port: 0,
    metrics: createPrometheusMetrics({ processMetrics: false }),
    decisions: new DecisionLog(1, systemClock),
    endpoints: () => [],
    pool: { name: "p", namespace: "n" },
    signals: () => [],
    plugins: () => [
      { name: "cache", type: "prefix-cache-scorer", instance: { dumpState: () => ({ blocks: 3 }) } },
      { name: "queue-scorer", type: "queue-scorer", instance: {} },
    ],
    configYaml: () => "",
    profiles: false,
    authorize: async ({ headers: { authorization } }) => {
      if (authorization === "Bearer good") return undefined;
      return authorization === "Bearer known" ? { status: 403, body: "denied" } : { status: 401, body: "Unauthorized" };
    },
    clock: systemClock,
    logger: silentLogger,
    ...options,
  });
  servers.push(server);
  return (await server.start()).port;
}

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function epp(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Result> {
  return new Promise((resolve) => {
    const options = {
      cwd: directory,
      timeout: 60_000,
      env: { ...process.env, POINTSMAN_ADMIN_TOKEN: "", ...environment },
    };
    execFile(bin, args, options, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
    });
  });
}

const noDecisions = "keeps no decisions yet";

test("explain and state send the token of a file or of the environment, the file's before the other", async () => {
  const port = String(await serve());
  const good = file("good", "good\n");
  const refused = await epp(["explain", "--metrics-port", port]);
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("--token-file")]);
  expect(refused.err).toContain("POINTSMAN_ADMIN_TOKEN");
  expect((await epp(["explain", "--metrics-port", port, "--token-file", good])).err).toContain(noDecisions);
  expect((await epp(["explain", "--metrics-port", port], { POINTSMAN_ADMIN_TOKEN: "good" })).err).toContain(
    noDecisions,
  );
  const both = await epp(["explain", "--metrics-port", port, "--token-file", good], { POINTSMAN_ADMIN_TOKEN: "bad" });
  expect(both.err).toContain(noDecisions);
  const denied = await epp(["state", "--metrics-port", port, "--token-file", file("known", "known")]);
  expect([denied.code, denied.err]).toEqual([1, expect.stringContaining("nonResourceURLs")]);
});

test("explain --json of no decisions is an empty list of them", async () => {
  const port = String(await serve());
  const { code, out } = await epp(["explain", "--metrics-port", port, "--token-file", file("t", "good"), "--json"]);
  expect([code, JSON.parse(out)]).toEqual([0, { decisions: [] }]);
});

test("state prints what plugins tell, as text and as JSON, and one of them when it is named", async () => {
  const port = String(await serve());
  const asks = (...more: readonly string[]) =>
    epp(["state", "--metrics-port", port, "--token-file", file("t", "good"), ...more]);
  expect(await asks()).toEqual({
    code: 0,
    out: 'cache (prefix-cache-scorer):\n  {\n    "blocks": 3\n  }\nqueue-scorer: plugin does not support state collection\n',
    err: "",
  });
  expect(JSON.parse((await asks("--json", "--plugin=cache")).out)).toMatchObject({
    plugins: [{ name: "cache", type: "prefix-cache-scorer", state: { blocks: 3 } }],
  });
  const unknown = await asks("--plugin=cash");
  expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining("there are cache, queue-scorer")]);
});

test("over https the certificate is checked, with a name of its own, and a client certificate is shown", async () => {
  const port = await serve({ tls: { ...serving, clientCa: serving.cert } });
  const [ca, cert, key, token] = [
    file("ca.crt", serving.cert),
    file("client.crt", serving.cert),
    file("client.key", serving.key),
    file("token", "good"),
  ];
  const address = `127.0.0.1:${port}`;
  const checked = ["explain", "--address", address, "--ca-file", ca, "--token-file", token];
  const client = ["--cert-file", cert, "--key-file", key];
  const named = await epp([...checked, ...client, "--server-name", "llm-epp.inference.svc"]);
  expect(named.err).toContain(noDecisions);
  const otherName = await epp([...checked, ...client]);
  expect([otherName.code, otherName.err]).toEqual([1, expect.stringContaining("does not match")]);
  const anonymous = await epp([...checked, "--server-name", "llm-epp.inference.svc"]);
  // The connection may break before the alert is read.
  expect([anonymous.code, anonymous.err]).toEqual([1, expect.stringContaining("--cert-file")]);
  expect(anonymous.err).not.toContain(noDecisions);
  const unchecked = await epp(["explain", "--address", `https://${address}`, "--token-file", token, ...client]);
  expect([unchecked.code, unchecked.err]).toEqual([1, expect.stringContaining("give its authority with --ca-file")]);
});

test("a token on the command line is no flag, and a wrong file is told before anything is sent", async () => {
  const token = await epp(["explain", "--token", "secret"]);
  expect([token.code, token.err]).toEqual([2, expect.stringContaining("unknown flag --token.")]);
  const missing = await epp(["state", "--token-file", "missing"]);
  expect([missing.code, missing.err]).toEqual([
    2,
    expect.stringContaining("epp state: --token-file: cannot read missing"),
  ]);
});
