import { type Logger, silentLogger, systemClock, type Timers } from "@pointsman/core";
import { FakeClock } from "@pointsman/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { answer, FakeApi, status, until } from "../test/fake-api.ts";
import { realTimers } from "../test/real-timers.ts";
import { ApiClient } from "./api-client.ts";
import { ResourceWatch, type ResourceWatchOptions } from "./resource-watch.ts";
import type { WatchLimits } from "./watch-limits.ts";

const path = "/api/v1/namespaces/ns/pods";
const former = "/apis/former/v1/namespaces/ns/pods";
const quick: Partial<WatchLimits> = {
  firstBackOffMs: 5,
  mostBackOffMs: 20,
  watchMs: 20_000,
  absentMs: 20,
  goneMs: 40,
  graceMs: 5_000,
};

const api = new FakeApi(path);
const started: ResourceWatch[] = [];
let seen: Map<string, string>;
let events: string[];

beforeEach(async () => {
  seen = new Map();
  events = [];
  await api.start();
});
afterEach(async () => {
  for (const watch of started.splice(0)) watch.stop();
  api.intercept = undefined;
  api.watchMs = undefined;
  api.forgottenVersion = 0;
  api.requests.length = 0;
  api.paths.clear();
  api.paths.add(path);
  for (const name of ["a", "b", "c", "d", "x", "y"]) for (const each of [path, former]) api.remove(each, name, true);
  await api.stop();
});

function follow(limits: Partial<WatchLimits> = {}, more: Partial<ResourceWatchOptions> = {}): ResourceWatch {
  const watch = new ResourceWatch({
    client: new ApiClient(api.access()),
    resource: "pods",
    paths: [path],
    sink: {
      upsert: (object, { key }) => {
        seen.set(key, String(object["value"]));
        events.push(`set ${key}=${String(object["value"])}`);
      },
      remove: ({ key }) => {
        seen.delete(key);
        events.push(`gone ${key}`);
      },
    },
    clock: systemClock,
    timers: realTimers,
    random: () => 0.5,
    logger: silentLogger,
    limits: { ...quick, ...limits },
    ...more,
  });
  started.push(watch);
  watch.start();
  return watch;
}

/** Real timers that note the waits below a minute and wait as long as `real` says. */
function noting(pauses: number[], real: (ms: number) => number): Timers {
  return {
    every: realTimers.every,
    after(ms, run) {
      if (ms < 60_000) pauses.push(ms);
      return realTimers.after(real(ms), run);
    },
  };
}
const put = (name: string, value: string, quiet = false): void => {
  api.put(path, { metadata: { name, namespace: "ns" }, value }, quiet);
};
const state = (): Record<string, string> => Object.fromEntries([...seen].sort());
const watching = (count = 1): Promise<void> => until("a watch is open", () => api.watches === count);

test("what exists is told, then that it is all, then each change in order", async () => {
  put("a", "1");
  const watch = follow();
  watch.onceSynced(() => events.push("synced"));
  await watching();
  put("b", "2");
  put("a", "3");
  api.remove(path, "b");
  await until("the changes came", () => events.length === 5);
  expect(events).toEqual(["set ns/a=1", "synced", "set ns/b=2", "set ns/a=3", "gone ns/b"]);
  expect(watch.status()).toMatchObject({
    synced: true,
    connected: true,
    absent: false,
    objects: 1,
    problem: undefined,
  });
  expect(watch.status().ageMs).toBeLessThan(5000);
});

test("a deletion that is missed while the connection is broken removes the object, and changes come too", async () => {
  for (const name of ["a", "b", "c"]) put(name, "1");
  const watch = follow();
  await watching();
  api.remove(path, "b", true);
  put("c", "2", true);
  put("d", "1", true);
  expect(state()).toEqual({ "ns/a": "1", "ns/b": "1", "ns/c": "1" });
  api.breakWatches();
  await until("it has caught up", () => !seen.has("ns/b") && seen.has("ns/d"));
  expect(state()).toEqual({ "ns/a": "1", "ns/c": "2", "ns/d": "1" });
  // What did not change is not told again.
  expect(events.filter((event) => event.endsWith("ns/a=1"))).toHaveLength(1);
  await until("it watches again", () => watch.status().connected && api.watches === 1);
});

test("an object that was deleted and made again under its name while nobody watched is told as a change", async () => {
  put("a", "old");
  follow();
  await watching();
  api.remove(path, "a", true);
  put("a", "new", true);
  api.breakWatches();
  await until("the new one came", () => seen.get("ns/a") === "new");
});

test("a watch that the server ends in order goes on from its version, without a list", async () => {
  put("a", "1");
  follow({ firstBackOffMs: 1 });
  await watching();
  await new Promise((resolve) => setTimeout(resolve, 10));
  put("a", "2", true);
  api.endWatches();
  // The bookmark at the end stands for the quiet change, so only what comes later is told.
  await until(
    "the next watch is open",
    () => api.count("GET /api/v1/namespaces/ns/pods?watch=true") === 2 && api.watches === 1,
  );
  put("b", "1");
  await until("later changes come", () => seen.has("ns/b"));
  expect(api.lists).toBe(1);
  expect(api.requests.at(-1)).toContain(`resourceVersion=${api.version - 1}`);
  expect(api.requests.at(-1)).toContain("allowWatchBookmarks=true");
});

test("a version that is too old leads to a list, which tells what is gone", async () => {
  put("a", "1");
  put("b", "1");
  follow();
  await watching();
  api.remove(path, "b", true);
  api.forget();
  api.intercept = (request, response) => {
    if (!(request.url ?? "").includes("watch=true")) return undefined;
    api.intercept = undefined;
    answer(response, 410, status(410, "Expired", "too old"));
    return "done";
  };
  const line = `${JSON.stringify({ type: "ERROR", object: status(410, "Expired", "too old resource version") })}\n`;
  api.write(line);
  await until("it has caught up", () => !seen.has("ns/b"));
  // Both ways of saying 410: as an event, and as the answer to the next watch.
  await until("it listed three times", () => api.lists === 3);
  await watching();
});

test("a server that calls every version too old is not asked in a loop", async () => {
  put("a", "1");
  api.forgottenVersion = Number.POSITIVE_INFINITY;
  const pauses: number[] = [];
  // Time stands still: a watch that held for longer than the wait to come would start the waits over.
  follow({ firstBackOffMs: 5, mostBackOffMs: 40 }, { clock: new FakeClock(), timers: noting(pauses, (ms) => ms) });
  await until("it tried some times", () => pauses.length >= 5);
  expect(pauses.slice(0, 5)).toEqual([3.75, 7.5, 15, 30, 30]);
});

test("lists come now and then beside a watch that runs well, and find what it missed", async () => {
  put("a", "1");
  put("b", "1");
  follow({ resyncMs: 60 });
  await watching();
  api.remove(path, "b", true);
  await until("the resync found it", () => !seen.has("ns/b"));
});

test("the server away: the state stays, its age grows, it is said once; back: it is said, and what was missed is told", async () => {
  put("a", "1");
  put("b", "1");
  const told: string[] = [];
  const watch = follow({}, { hooks: { onAway: () => told.push("away"), onBack: () => told.push("back") } });
  await watching();
  await api.stop();
  await until("it noticed", () => told.length === 1);
  const { ageMs = 0 } = watch.status();
  await new Promise((resolve) => setTimeout(resolve, 60));
  await until("it has tried again", () => watch.status().problem?.includes("ECONNREFUSED") === true);
  expect(state()).toEqual({ "ns/a": "1", "ns/b": "1" });
  expect(watch.status()).toMatchObject({ connected: false, synced: true });
  expect(watch.status().ageMs).toBeGreaterThan(ageMs + 30);
  api.remove(path, "a", true);
  await api.start();
  await until("it caught up", () => !seen.has("ns/a") && watch.status().connected);
  expect(told).toEqual(["away", "back"]);
});

test("no server at the start: it tries on until there is one", async () => {
  await api.stop();
  const watch = follow();
  await until("it tried", () => watch.status().problem !== undefined);
  expect(watch.status()).toMatchObject({ synced: false, connected: false, ageMs: undefined });
  put("a", "1");
  await api.start();
  await until("it is synced", () => watch.status().synced);
  expect(state()).toEqual({ "ns/a": "1" });
});

test("a list that breaks off in the middle removes nothing", async () => {
  for (const name of ["a", "b", "c"]) put(name, "1");
  const watch = follow();
  await watching();
  let broken = 0;
  api.intercept = (request, response) => {
    if ((request.url ?? "").includes("watch=true") || broken >= 3) return undefined;
    broken++;
    const item = JSON.stringify({ metadata: { name: "a", namespace: "ns", resourceVersion: "101" }, value: "1" });
    response.writeHead(200, {
      "content-type": "application/json",
      ...(broken === 3 ? { "content-length": "9999" } : {}),
    });
    response.write(`{"metadata":{"resourceVersion":"500"},"items":[${item}`);
    // Ended in order, cut off, and shorter than promised.
    if (broken === 1) response.end();
    else setImmediate(() => response.destroy());
    return "done";
  };
  api.breakWatches();
  await until("it is back", () => broken === 3 && watch.status().connected);
  expect(events.filter((event) => event.startsWith("gone"))).toEqual([]);
  expect(state()).toEqual({ "ns/a": "1", "ns/b": "1", "ns/c": "1" });
});

test.each([
  ["no JSON", "nonsense\n"],
  ["an event without an object", '{"type":"ADDED"}\n'],
  ["an unknown type", '{"type":"EXPLODED","object":{"metadata":{"name":"x"}}}\n'],
  ["an error that is no 410", `${JSON.stringify({ type: "ERROR", object: { code: 500, message: "etcd" } })}\n`],
  ["an endless event", `{"type":"ADDED","object":{"metadata":{"name":"${"x".repeat(5000)}`],
])("after %s in a watch everything is listed again", async (_what, line) => {
  put("a", "1");
  put("b", "1");
  const watch = follow({ maxObjectBytes: 4000 });
  await watching();
  api.remove(path, "b", true);
  api.write(line);
  await until("it listed again", () => !seen.has("ns/b"));
  await until("it watches again", () => watch.status().connected);
  expect(state()).toEqual({ "ns/a": "1" });
});

test("watches that break at each first event are listed for less and less often, and at once again after one that held", async () => {
  put("a", "1");
  const pauses: number[] = [];
  const clock = new FakeClock();
  const watch = follow({ firstBackOffMs: 20, mostBackOffMs: 160 }, { clock, timers: noting(pauses, (ms) => ms) });
  await watching();
  const broken = JSON.stringify({ type: "BOOKMARK", object: { metadata: { resourceVersion: "100" } } });
  api.intercept = (request, response) => {
    if (!(request.url ?? "").includes("watch=true")) return undefined;
    response.writeHead(200, { "content-type": "application/json" });
    response.write(`${broken}\nnonsense\n`);
    return "done";
  };
  api.breakWatches();
  await until("it paused some times", () => pauses.length >= 5);
  expect(pauses.slice(2, 5)).toEqual([60, 120, 120]);
  api.intercept = undefined;
  await watching();
  await until("the client knows it", () => watch.status().connected);
  clock.advance(1000);
  pauses.length = 0;
  api.breakWatches();
  await until("it paused again", () => pauses.length > 0);
  expect(pauses[0]).toBe(15);
});

test("a watch that goes silent for longer than it should last is given up", async () => {
  put("a", "1");
  put("b", "1");
  follow({ watchMs: 1000, graceMs: 50 });
  await watching();
  api.remove(path, "b", true);
  await until("it gave up and listed", () => !seen.has("ns/b"));
});

test("a watch that goes on for longer than it should last is given up, though blank lines come", async () => {
  put("a", "1");
  put("b", "1");
  const watch = follow({ watchMs: 1000, graceMs: 200 });
  await watching();
  api.remove(path, "b", true);
  const blanks = setInterval(() => api.write("\n"), 20);
  try {
    await until("it gave up and listed", () => !seen.has("ns/b"));
  } finally {
    clearInterval(blanks);
  }
  await until("it watches again", () => watch.status().connected);
});

test("a kind that is not installed counts as synced with nothing, and is found when it comes", async () => {
  api.paths.clear();
  const watch = follow();
  await until("it is synced", () => watch.status().synced);
  expect(watch.status()).toMatchObject({ absent: true, connected: false, objects: 0 });
  api.paths.add(path);
  put("a", "1");
  await until("it came", () => seen.has("ns/a"));
  await until("it watches", () => watch.status().connected);
  expect(watch.status().absent).toBe(false);
});

test("of several paths the first that is known is followed, the preferred one again when it comes", async () => {
  api.paths.clear();
  api.paths.add(former);
  api.put(former, { metadata: { name: "a", namespace: "ns" }, value: "former" });
  follow({ resyncMs: 60 }, { paths: [path, former] });
  await until("the former is used", () => seen.get("ns/a") === "former");
  api.paths.add(path);
  put("a", "current");
  await until("the current is used", () => seen.get("ns/a") === "current");
});

test("a path that is unknown for a moment is not given up for another one; for longer, it is", async () => {
  put("a", "current");
  api.put(former, { metadata: { name: "b", namespace: "ns" }, value: "former" });
  const clock = new FakeClock();
  const watch = follow({}, { clock, paths: [path, former] });
  await watching();
  api.paths.delete(path);
  api.paths.add(former);
  api.breakWatches();
  await until("it asked twice", () => api.lists >= 3);
  expect(state()).toEqual({ "ns/a": "current" });
  api.paths.add(path);
  await until("it watches again", () => watch.status().connected);
  expect(events).toEqual(["set ns/a=current"]);
  api.paths.delete(path);
  api.breakWatches();
  await until("the other one is followed", () => {
    clock.advance(1);
    return seen.get("ns/b") === "former";
  });
  expect(state()).toEqual({ "ns/b": "former" });
});

test("a path that may not be read is passed over, unless it has been followed", async () => {
  const forbidden = new Set([path]);
  api.intercept = (request, response) => {
    const asked = (request.url ?? "").split("?", 1)[0]!;
    if (!forbidden.has(asked)) return undefined;
    answer(response, 403, status(403, "Forbidden", `${asked} is forbidden`));
    return "done";
  };
  api.paths.add(former);
  api.put(former, { metadata: { name: "b", namespace: "ns" }, value: "former" });
  const watch = follow({ resyncMs: 60 }, { paths: [path, former] });
  await until("the former is used", () => seen.get("ns/b") === "former");
  put("a", "current");
  forbidden.clear();
  await until("the current is used", () => seen.get("ns/a") === "current" && !seen.has("ns/b"));
  forbidden.add(path);
  api.breakWatches();
  await until("it is refused", () => watch.status().problem?.includes("is forbidden") === true);
  expect(state()).toEqual({ "ns/a": "current" });
});

test("where none of the paths may be read or is known, the refusal is told and nothing counts as known", async () => {
  api.intercept = (request, response) => {
    if (!(request.url ?? "").startsWith(path)) return undefined;
    answer(response, 403, status(403, "Forbidden", "pods are forbidden"));
    return "done";
  };
  const watch = follow({}, { paths: [path, former] });
  await until("it asked some times", () => api.lists >= 6);
  expect(watch.status()).toMatchObject({ synced: false, problem: expect.stringContaining("pods are forbidden") });
});

test("a kind that is unknown for a moment keeps its objects; for longer, they are gone", async () => {
  put("a", "1");
  const clock = new FakeClock();
  const watch = follow({}, { clock });
  await watching();
  api.paths.clear();
  api.breakWatches();
  await until("it asked twice", () => api.lists >= 3);
  api.paths.add(path);
  await until("it watches again", () => watch.status().connected);
  expect(events).toEqual(["set ns/a=1"]);
  api.paths.clear();
  api.breakWatches();
  await until("the objects are gone", () => {
    clock.advance(1);
    return seen.size === 0;
  });
});

test("refusals are told in the API server's words, and waits that it asks for are kept", async () => {
  let forbidden = true;
  api.intercept = (_request, response) => {
    if (!forbidden) return undefined;
    forbidden = false;
    response.setHeader("retry-after", "1");
    answer(response, 403, status(403, "Forbidden", 'pods is forbidden: User "x" cannot list resource "pods"'));
    return "done";
  };
  put("a", "1");
  const pauses: number[] = [];
  const watch = follow({}, { timers: noting(pauses, () => 1) });
  await until("it is synced", () => watch.status().synced);
  expect(pauses[0]).toBe(1000);
});

test("more objects than the limit are left out, and said once", async () => {
  const lines: string[] = [];
  const logger: Logger = { ...silentLogger, error: (_, message) => lines.push(message) };
  for (const name of ["a", "b", "c", "d"]) put(name, "1");
  const watch = follow({ maxObjects: 2 }, { logger });
  await watching();
  expect(watch.status().objects).toBe(2);
  expect(lines).toEqual(["too many objects in Kubernetes; further ones are left out"]);
});

test("an object that the sink cannot take does not keep the others away", async () => {
  put("a", "1");
  put("b", "1");
  const taken: string[] = [];
  const watch = follow(
    {},
    {
      sink: {
        upsert: (_, { key }) => {
          if (key === "ns/a") throw new Error("no room");
          taken.push(key);
        },
        remove: () => {},
      },
    },
  );
  await until("it is synced", () => watch.status().synced);
  expect(taken).toEqual(["ns/b"]);
});

test("items without a name and items that are no objects are passed over", async () => {
  api.intercept = (request, response) => {
    if ((request.url ?? "").includes("watch=true")) return undefined;
    answer(response, 200, {
      metadata: { resourceVersion: "1" },
      items: [{}, { metadata: 7 }, { metadata: { name: "" } }, { metadata: { name: "a" }, value: "1" }],
    });
    return "done";
  };
  const watch = follow();
  await until("it is synced", () => watch.status().synced);
  expect(state()).toEqual({ a: "1" });
});

test("after stop nothing more is told and no request is open", async () => {
  put("a", "1");
  const watch = follow();
  await watching();
  watch.stop();
  await until("the watch is closed", () => api.watches === 0);
  const requests = api.requests.length;
  put("b", "1");
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(state()).toEqual({ "ns/a": "1" });
  expect(api.requests.length).toBe(requests);
});

test("selectors are sent", async () => {
  api.put(path, { metadata: { name: "a", namespace: "ns", labels: { app: "x" } }, value: "1" });
  put("b", "1");
  follow({}, { labelSelector: "app=x" });
  await watching();
  expect(state()).toEqual({ "ns/a": "1" });
  expect(api.requests.every((line) => line.includes("labelSelector=app%3Dx"))).toBe(true);
});

test("a list of several pages is taken in whole, and what changes between pages is seen", async () => {
  for (const name of ["a", "b", "c", "d", "x"]) api.put(path, { metadata: { name, namespace: "ns" }, value: "1" });
  api.intercept = (request) => {
    if (request.url?.includes("continue=") === true && api.count("GET") === 2) {
      api.put(path, { metadata: { name: "a", namespace: "ns" }, value: "2" });
      api.remove(path, "b");
    }
    return undefined;
  };
  const watch = follow({ pageObjects: 2 });
  await until("it is so", () => seen.get("ns/a") === "2" && !seen.has("ns/b"));
  expect([...seen.keys()].sort()).toEqual(["ns/a", "ns/c", "ns/d", "ns/x"]);
  expect(events.slice(0, 5)).toEqual(["set ns/a=1", "set ns/b=1", "set ns/c=1", "set ns/d=1", "set ns/x=1"]);
  expect(api.lists).toBe(3);
  expect(watch.status().connected).toBe(true);
});

test("an object that is gone is dropped after the last page, not after the first", async () => {
  for (const name of ["a", "b", "c"]) api.put(path, { metadata: { name, namespace: "ns" }, value: "1" });
  follow({ pageObjects: 1 });
  await until("it is so", () => seen.size === 3 && api.watches === 1);
  events.length = 0;
  api.remove(path, "b", true);
  api.breakWatches();
  await until("it is so", () => events.length > 0);
  expect(events).toEqual(["gone ns/b"]);
});

test("a page that can no longer be had starts the list anew, and nothing is dropped meanwhile", async () => {
  for (const name of ["a", "b", "c"]) api.put(path, { metadata: { name, namespace: "ns" }, value: "1" });
  follow({ pageObjects: 2 });
  await until("it is so", () => seen.size === 3 && api.watches === 1);
  events.length = 0;
  let refused = 0;
  api.intercept = (request, response) => {
    if (request.url?.includes("continue=") !== true || refused++ > 0) return undefined;
    answer(response, 410, status(410, "Expired", "the provided continue parameter is too old"));
    return "done";
  };
  api.breakWatches();
  await until("it is so", () => refused > 1 && api.watches === 1);
  expect(events).toEqual([]);
});

test.each(["{}", '"none"', "7"])("a list whose items are %s drops nothing", async (items) => {
  api.put(path, { metadata: { name: "a", namespace: "ns" }, value: "1" });
  follow();
  await until("it is so", () => seen.size === 1 && api.watches === 1);
  events.length = 0;
  let answered = 0;
  api.intercept = (request, response) => {
    if (request.url?.includes("watch=true") === true || answered++ > 1) return undefined;
    response.end(`{"kind":"PodList","metadata":{"resourceVersion":"900"},"items":${items}}`);
    return "done";
  };
  api.breakWatches();
  await until("it is so", () => answered > 2 && api.watches === 1);
  expect(events).toEqual([]);
});

test("a list that never ends is given up in time and begun again", async () => {
  api.put(path, { metadata: { name: "a", namespace: "ns" }, value: "1" });
  const problems: string[] = [];
  let drips = 0;
  api.intercept = (request, response) => {
    if (request.url?.includes("watch=true") === true || drips > 2) return undefined;
    response.write('{"metadata":{"resourceVersion":"1"},"items":[');
    const timer = setInterval(() => {
      drips++;
      response.write(" ");
    }, 5);
    response.on("close", () => clearInterval(timer));
    return "done";
  };
  follow({ listMs: 60 }, { hooks: { onAway: (problem) => problems.push(problem) } });
  await until("it is so", () => seen.has("ns/a"));
  expect(drips).toBeGreaterThan(2);
  expect(problems).toEqual([`${path}: the list was not complete after 60 ms`]);
});
