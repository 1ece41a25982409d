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
  ];
  for (const path of paths) {
    const refused = await call(path);
    expect([refused.status, await refused.text()]).toEqual([401, "Unauthorized\n"]);
    expect((await call(path, "broken")).status).toBe(500);
    expect((await call(path, "good")).status).toBe(path === "/nothing" ? 404 : 200);
  }
  expect(asked).toEqual(paths.flatMap((path) => [path, path, path]));
});
