import { gzipSync } from "node:zlib";
import {
  DecisionLog,
  type MetadataValue,
  type NamedPlugin,
  type PluginInstance,
  silentLogger,
  systemClock,
} from "@pointsman/core";
import { createPrometheusMetrics } from "@pointsman/telemetry";
import { FakeClock } from "@pointsman/testkit";
import { afterEach, expect, test } from "vitest";
import { type AdminServer, type AdminServerOptions, createAdminServer } from "./admin-server.ts";

const servers: AdminServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

const plugin = (name: string, instance: PluginInstance): NamedPlugin => ({ name, type: `${name}-type`, instance });

async function serve(options: Partial<AdminServerOptions> = {}): Promise<string> {
  const server = createAdminServer({
    host: "127.0.0.1",
    port: 0,
    metrics: createPrometheusMetrics({ processMetrics: false }),
    decisions: new DecisionLog(1, systemClock),
    endpoints: () => [],
    pool: { name: "p", namespace: "n" },
    signals: () => [],
    plugins: () => [],
    configYaml: () => "",
    profiles: true,
    clock: systemClock,
    logger: silentLogger,
    ...options,
  });
  servers.push(server);
  return `http://127.0.0.1:${(await server.start()).port}`;
}

test("the state of the plugins is told by name, and a broken plugin breaks its own entry only", async () => {
  // What a plugin without types may give.
  const ring: { [key: string]: MetadataValue } = {};
  ring["self"] = ring;
  const nothing = undefined as unknown as MetadataValue;
  const url = await serve({
    clock: new FakeClock(0, 1_700_000_000_123),
    plugins: () => [
      plugin("good", { dumpState: () => ({ entries: 3 }) }),
      plugin("silent", {}),
      plugin("throws", {
        dumpState: () => {
          throw new Error("no luck");
        },
      }),
      plugin("ring", { dumpState: () => ring }),
      plugin("nothing", { dumpState: () => nothing }),
      plugin("huge", { dumpState: () => "x".repeat(2 * 1024 * 1024) }),
    ],
  });
  const response = await fetch(`${url}/debug/plugins/state`);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(await response.json()).toEqual({
    timestamp: "2023-11-14T22:13:20.123Z",
    plugins: {
      good: { name: "good", type: "good-type", state: { entries: 3 } },
      silent: { name: "silent", type: "silent-type", message: "plugin does not support state collection" },
      throws: { name: "throws", type: "throws-type", message: "failed to dump plugin state: no luck" },
      ring: { name: "ring", type: "ring-type", message: "plugin returned invalid JSON state" },
      nothing: { name: "nothing", type: "nothing-type", message: "plugin returned invalid JSON state" },
      huge: {
        name: "huge",
        type: "huge-type",
        message: "failed to dump plugin state: it is larger than 1048576 bytes",
      },
    },
  });
});

/** Asks the admin API as a script does. */
async function ask(url: string, method: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/pointsman.admin.v1.AdminService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test("the admin API tells the same states in the order of the configuration, of one plugin when it is named", async () => {
  const url = await serve({
    clock: new FakeClock(0, 1_700_000_000_123),
    plugins: () => [plugin("b", { dumpState: () => ({ entries: [1, null] }) }), plugin("a", {})],
  });
  const silent = { name: "a", type: "a-type", message: "plugin does not support state collection" };
  expect(await ask(url, "GetPluginStates", {})).toEqual({
    status: 200,
    body: {
      at: "2023-11-14T22:13:20.123Z",
      plugins: [{ name: "b", type: "b-type", stateJson: '{"entries":[1,null]}' }, silent],
    },
  });
  expect((await ask(url, "GetPluginStates", { name: "a" })).body["plugins"]).toEqual([silent]);
  const unknown = await ask(url, "GetPluginStates", { name: "c" });
  expect([unknown.status, unknown.body["message"]]).toEqual([404, 'no plugin is named "c"; there are b, a']);
});

test("the states of all plugins together are bounded", async () => {
  const large = { dumpState: () => "é".repeat(500_000) };
  const url = await serve({
    plugins: () => [
      ...Array.from({ length: 10 }, (_, i) => plugin(`p${i}`, large)),
      plugin("small", { dumpState: () => 1 }),
    ],
  });
  const { body } = await ask(url, "GetPluginStates", {});
  const plugins = body["plugins"] as readonly { readonly stateJson?: string; readonly message?: string }[];
  // 1,000,002 bytes each, of 8 MiB.
  expect(plugins.map(({ stateJson }) => stateJson !== undefined)).toEqual([
    ...new Array(8).fill(true),
    ...[false, false, true],
  ]);
  expect(plugins[8]!.message).toContain("8388608 bytes");
  expect((await ask(url, "GetPluginStates", { name: "p9" })).body["plugins"]).toMatchObject([
    { name: "p9", stateJson: expect.stringContaining("é") },
  ]);
});

test.each(["POST", "HEAD", "DELETE"])("%s of the plugins' state is refused with what is allowed", async (method) => {
  const response = await fetch(`${await serve()}/debug/plugins/state`, { method });
  expect([response.status, response.headers.get("allow")]).toEqual([405, "GET"]);
});

test("a CPU profile has samples, a heap profile a tree", async () => {
  const url = await serve();
  const cpu = await fetch(`${url}/debug/pprof/profile?seconds=0.2`);
  expect(cpu.headers.get("content-disposition")).toContain("epp.cpuprofile");
  const { nodes, samples, startTime, endTime } = (await cpu.json()) as Record<string, unknown[]>;
  expect(nodes!.length).toBeGreaterThan(0);
  expect(samples!.length).toBeGreaterThan(0);
  expect(Number(endTime) - Number(startTime)).toBeGreaterThan(100_000);
  for (const name of ["heap", "allocs"]) {
    const heap = (await (await fetch(`${url}/debug/pprof/${name}?seconds=0.1`)).json()) as Record<string, unknown>;
    expect(heap["head"]).toMatchObject({ callFrame: { functionName: "(root)" } });
  }
});

test("one profile is recorded at a time, and a client that leaves ends its own", async () => {
  const url = await serve();
  const left = new AbortController();
  const long = fetch(`${url}/debug/pprof/profile?seconds=300`, { signal: left.signal }).catch(() => "left");
  const heap = (): Promise<number> => fetch(`${url}/debug/pprof/heap?seconds=0.01`).then(({ status }) => status);
  await expect.poll(heap).toBe(409);
  left.abort();
  expect(await long).toBe("left");
  await expect.poll(heap).toBe(200);
});

test("the index tells what there is, Go's own profiles are not implemented, wrong lengths are refused", async () => {
  const url = await serve();
  const status = async (path: string): Promise<number> => (await fetch(url + path)).status;
  const index = await (await fetch(`${url}/debug/pprof/`)).text();
  for (const name of ["profile", "heap", "allocs", "cmdline", "goroutine"]) expect(index).toContain(name);
  expect(await (await fetch(`${url}/debug/pprof/cmdline`)).text()).toBe(process.argv.join("\0"));
  for (const name of ["goroutine", "threadcreate", "block", "mutex", "symbol", "trace"]) {
    expect(await status(`/debug/pprof/${name}`)).toBe(501);
  }
  expect(await status("/debug/pprof/other")).toBe(404);
  for (const seconds of ["0", "-1", "301", "x", "Infinity"]) {
    expect(await status(`/debug/pprof/profile?seconds=${seconds}`)).toBe(400);
  }
});

test("without profiles their pages do not exist", async () => {
  const url = await serve({ profiles: false });
  for (const page of ["", "profile", "cmdline"]) expect((await fetch(`${url}/debug/pprof/${page}`)).status).toBe(404);
});

test("every path asks the authorizer first, the admin API too, and a failing one lets nobody in", async () => {
  const asked: (string | undefined)[] = [];
  const url = await serve({
    authorize: async ({ url: path, headers }) => {
      asked.push(path);
      if (headers.authorization === "Bearer broken") throw new Error("no answer");
      return headers.authorization === "Bearer good" ? undefined : { status: 401, body: "Unauthorized" };
    },
  });
  const call = (path: string, token?: string) =>
    fetch(url + path, {
      method: path.includes("Admin") ? "POST" : "GET",
      headers: {
        "content-type": "application/json",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(path.includes("Admin") ? { body: "{}" } : {}),
    });
  const paths = [
    "/metrics",
    "/debug/plugins/state",
    "/debug/pprof/",
    "/nothing",
    "/pointsman.admin.v1.AdminService/GetPool",
    "/pointsman.admin.v1.AdminService/GetPluginStates",
  ];
  for (const path of paths) {
    const refused = await call(path);
    expect([refused.status, await refused.text()]).toEqual([401, "Unauthorized\n"]);
    expect((await call(path, "broken")).status).toBe(500);
    expect((await call(path, "good")).status).toBe(path === "/nothing" ? 404 : 200);
  }
  expect(asked).toEqual(paths.flatMap((path) => [path, path, path]));
});

test("a metrics page that takes several pieces arrives whole, has no body for HEAD, and a reader that leaves is no error", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const family = metrics.counter({ name: "a_total", help: "A.", labelNames: ["x"] });
  for (let i = 0; i < 200_000; i++) family.labels(`value ${i}`).inc();
  const errors: string[] = [];
  const logger = { ...silentLogger, error: (_fields: unknown, message: string) => errors.push(message) };
  const url = await serve({ metrics, logger });
  const page = await fetch(`${url}/metrics`);
  expect(page.headers.get("content-type")).toBe(metrics.contentType);
  expect(await page.text()).toBe(await metrics.page());
  expect(await (await fetch(`${url}/metrics`, { method: "HEAD" })).text()).toBe("");
  const left = await fetch(`${url}/metrics`);
  const reader = left.body!.getReader();
  await reader.read();
  await reader.cancel();
  expect(await (await fetch(`${url}/metrics`)).text()).toBe(await metrics.page());
  expect(errors).toEqual([]);
});

test("figures that cannot be computed are a failed page, not half a page", async () => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  metrics.beforePage(() => {
    throw new Error("no figures");
  });
  const url = await serve({ metrics });
  expect((await fetch(`${url}/metrics`)).status).toBe(500);
});

test.each(["identity", "gzip"])("requests of the admin API are bounded, %s", async (encoding) => {
  const url = `${await serve()}/pointsman.admin.v1.AdminService/GetPluginStates`;
  const ask = (nameChars: number): Promise<Response> => {
    const body = Buffer.from(JSON.stringify({ name: "x".repeat(nameChars) }));
    return fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "content-encoding": encoding },
      body: encoding === "gzip" ? gzipSync(body) : body,
    });
  };
  expect(await (await ask(60_000)).json()).toMatchObject({ code: "not_found" });
  expect(await (await ask(70_000)).json()).toMatchObject({ code: "resource_exhausted" });
});
