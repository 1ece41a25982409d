import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildPlugin, pluginContract } from "@pointsman/testkit";
import { afterEach, expect, test } from "vitest";
import { cleanUps, FileFixture, line, list, newFolder, started } from "../test/file-fixture.ts";
import plugin from "./index.ts";

pluginContract(plugin, { testFile: import.meta.url, params: { path: "endpoints.yaml" } });

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

test("the endpoints of the file are known when the start is done, in file order", async () => {
  const fixture = await started(`endpoints:
- {name: b, address: "fd00::1", port: "8000", metricsPort: 9100, labels: {z: "1", a: "2"}}
- {name: a, namespace: n, address: gpu.example, port: 8001, metricsAddress: "::2"}
`);
  expect(fixture.calls).toEqual(["upsert default/b", "upsert n/a"]);
  expect(fixture.known.get("default/b")).toEqual({
    id: "default/b",
    namespace: "default",
    name: "b",
    address: "fd00::1",
    port: 8000,
    metricsHost: "[fd00::1]:9100",
    labels: { a: "2", z: "1" },
    rankIndex: 0,
  });
  expect(fixture.known.get("n/a")).toMatchObject({ metricsHost: "[::2]:8001" });
  expect(fixture.log).toEqual([
    { level: "info", message: "endpoints file read", fields: { file: fixture.path, endpoints: 2 } },
  ]);
});

test("an empty list is a good start", async () => {
  expect((await started("endpoints: []")).calls).toEqual([]);
});

test("of endpoints listed twice the last valid one counts, with a warning", async () => {
  const fixture = await started(`endpoints:\n${line("a", 1)}${line("a", 2)}`);
  expect(fixture.calls).toEqual(["upsert default/a"]);
  expect(fixture.known.get("default/a")!.port).toBe(2);
  expect(fixture.log).toMatchObject([
    {
      level: "warn",
      message: "endpoints file read, with warnings",
      fields: { warnings: [`${fixture.path}:3:3 "default/a" is listed in line 2 too; the last valid one counts`] },
    },
  ]);
});

test("any problem ends the start, with all problems and their places, and nothing is known", async () => {
  const fixture = new FileFixture();
  fixture.write(`endpoints:\n${line("a")}- {name: b, port: 0}\n`);
  await expect(fixture.start()).rejects.toMatchObject({
    code: "EPP_ENDPOINTS_FILE",
    message:
      `the endpoints file ${fixture.path} has 2 problems:\n` +
      `  ${fixture.path}:3:3 address is missing\n` +
      `  ${fixture.path}:3:19 port is "0"; use a number from 1 to 65535`,
  });
  expect(fixture.calls).toEqual([]);
});

test.each<[string, (fixture: FileFixture) => void, RegExp]>([
  ["missing", () => {}, /is not there$/],
  ["a folder", ({ path }) => mkdirSync(path), /is not a regular file$/],
  [
    "too large",
    (fixture) => fixture.write(`# ${"x".repeat(1024 * 1024)}`),
    /is larger than the limit of 1048576 bytes$/,
  ],
  ["not text", ({ path }) => writeFileSync(path, Buffer.from([0xff, 0xfe, 0x00])), /is not UTF-8 text in line 1$/],
  [
    "of another encoding",
    ({ path }) => writeFileSync(path, "endpoints:\n- name: é\n", "latin1"),
    /is not UTF-8 text in line 2$/,
  ],
  ["empty", (fixture) => fixture.write(""), /has a problem:\n.*:1:1 the file is empty/],
  ["a pipe that nobody writes to", ({ path }) => execFileSync("mkfifo", [path]), /is not a regular file$/],
])("a file that is %s ends the start", async (_what, prepare, message) => {
  const fixture = new FileFixture();
  prepare(fixture);
  await expect(fixture.start()).rejects.toThrow(message);
});

test("a file of just the largest size is read", async () => {
  const text = `${list("a")}#`;
  const fixture = await started(text + "x".repeat(1024 * 1024 - text.length));
  expect(fixture.ids).toEqual(["default/a"]);
});

test("without watchFile the file is not followed and no timer runs", async () => {
  const fixture = await started(list("a"), { watchFile: false });
  expect(fixture.clock.pendingTimers).toBe(0);
  fixture.write(list("b"));
  await fixture.pass();
  expect(fixture.ids).toEqual(["default/a"]);
});

test("a change is applied with one log line of counts; what did not change is not touched", async () => {
  const fixture = await started(`endpoints:\n${line("a")}${line("b")}${line("c")}`);
  fixture.write(`endpoints:\n${line("a")}${line("b", 9000)}${line("d")}`);
  expect(await fixture.nextLine()).toEqual({
    level: "info",
    message: "endpoints file reloaded",
    fields: { file: fixture.path, endpoints: 3, added: 1, updated: 1, removed: 1, kept: 0, refused: 0 },
  });
  expect(fixture.ids).toEqual(["default/a", "default/b", "default/d"]);
  expect(fixture.known.get("default/b")!.port).toBe(9000);
});

test("a change is noticed by the event, before the next look at the file", async () => {
  const fixture = await started(list("a"));
  await fixture.pass();
  fixture.write(list("b"));
  const changedAtMs = fixture.clock.now();
  await fixture.until("the change", () => fixture.ids[0] === "default/b" || fixture.clock.now() > changedAtMs + 900, 1);
  expect(fixture.ids).toEqual(["default/b"]);
});

const changes: readonly (readonly [string, (fixture: FileFixture, text: string) => void])[] = [
  ["written in place", (fixture, text) => fixture.write(text)],
  [
    "renamed over the old one",
    (fixture, text) => {
      fixture.write(text, `${fixture.path}.new`);
      renameSync(`${fixture.path}.new`, fixture.path);
    },
  ],
  [
    "removed and written anew",
    (fixture, text) => {
      unlinkSync(fixture.path);
      fixture.write(text);
    },
  ],
  [
    "moved away and written anew",
    (fixture, text) => {
      renameSync(fixture.path, `${fixture.path}.old`);
      fixture.write(text);
    },
  ],
  [
    "put into a folder that replaces the old one",
    (fixture, text) => {
      renameSync(fixture.folder, `${fixture.folder}-old`);
      cleanUps.push(() => rmSync(`${fixture.folder}-old`, { recursive: true, force: true }));
      mkdirSync(fixture.folder);
      fixture.write(text);
    },
  ],
];

test.each(changes)("a file that is %s is followed, again and again", async (_what, change) => {
  const fixture = await started(list("a"));
  for (const [index, name] of ["b", "c", "d"].entries()) {
    change(fixture, list(name));
    await fixture.until(`change ${index}`, () => fixture.ids.join() === `default/${name}`);
    rmSync(`${fixture.folder}-old`, { recursive: true, force: true });
  }
});

test("a file that is gone for a while keeps all endpoints, and is followed when it is back", async () => {
  const fixture = await started(list("a", "b"));
  unlinkSync(fixture.path);
  expect(await fixture.nextLine()).toEqual({
    level: "warn",
    message: "the endpoints file cannot be used; everything stays as it is",
    fields: { file: fixture.path, endpoints: 2, problems: [`${fixture.path} is not there`] },
  });
  await fixture.pass();
  expect(fixture.ids).toEqual(["default/a", "default/b"]);
  expect(fixture.log).toHaveLength(2);
  fixture.write(list("b", "c"));
  await fixture.until("the new list", () => fixture.ids.join() === "default/b,default/c");
});

test("a mounted ConfigMap is followed: a link to a link to a folder, swapped by a rename", async () => {
  const fixture = new FileFixture();
  const publish = (version: string, text: string): void => {
    mkdirSync(join(fixture.folder, version));
    writeFileSync(join(fixture.folder, version, "endpoints.yaml"), text);
    symlinkSync(version, join(fixture.folder, "..data_tmp"));
    renameSync(join(fixture.folder, "..data_tmp"), join(fixture.folder, "..data"));
  };
  publish("..v1", list("a"));
  symlinkSync(join("..data", "endpoints.yaml"), fixture.path);
  await fixture.start();
  for (const [index, name] of ["b", "c"].entries()) {
    publish(`..v${index + 2}`, list(name));
    rmSync(join(fixture.folder, `..v${index + 1}`), { recursive: true });
    await fixture.until(`version ${index + 2}`, () => fixture.ids.join() === `default/${name}`);
  }
});

test("a link into another folder is followed by looking at the file", async () => {
  const fixture = new FileFixture();
  const elsewhere = join(newFolder(), "list.yaml");
  fixture.write(list("a"), elsewhere);
  symlinkSync(elsewhere, fixture.path);
  await fixture.start();
  fixture.write(list("b"), elsewhere);
  await fixture.until("the change", () => fixture.ids.join() === "default/b", 20);
});

test("a touched file with the same content changes nothing and is not told of", async () => {
  const fixture = await started(list("a"));
  fixture.write(list("a"));
  await fixture.pass();
  expect(fixture.calls).toEqual(["upsert default/a"]);
  expect(fixture.log).toHaveLength(1);
});

test.each<[string, (fixture: FileFixture) => void, RegExp]>([
  [
    "of no bytes",
    ({ path }) => truncateSync(path),
    /1:1 the file is empty; for no endpoints at all write "endpoints: \[\]"$/,
  ],
  ["without the key", (fixture) => fixture.write("endpoint: []\n"), /1:1 the key "endpoints" is missing/],
  ["without a list", (fixture) => fixture.write("endpoints:\n"), /1:11 "endpoints" has no value/],
  ["that is not YAML", (fixture) => fixture.write('endpoints: [{name: "a'), /not valid YAML/],
  [
    "that ends in the middle of an item",
    (fixture) => fixture.write("endpoints:\n- name: a\n  address: "),
    /ends in the middle of its last item$/,
  ],
  ["that is too large", (fixture) => fixture.write("#".repeat(2_000_000)), /larger than the limit/],
  ["that is a flood of brackets", (fixture) => fixture.write("[".repeat(1_000_000)), /nested more than 32 levels/],
])("a file %s keeps all endpoints and is told of once", async (_what, change, problem) => {
  const fixture = await started(list("a", "b"));
  change(fixture);
  const { level, message, fields } = await fixture.nextLine();
  expect([level, message]).toEqual(["warn", "the endpoints file cannot be used; everything stays as it is"]);
  expect((fields["problems"] as readonly string[])[0]).toMatch(problem);
  await fixture.pass();
  expect(fixture.log).toHaveLength(2);
  expect(fixture.ids).toEqual(["default/a", "default/b"]);
  fixture.write(list("c"));
  await fixture.until("the good file", () => fixture.ids.join() === "default/c");
});

test("an explicit empty list removes all endpoints", async () => {
  const fixture = await started(list("a", "b"));
  fixture.write("endpoints: []\n");
  expect((await fixture.nextLine()).fields).toMatchObject({ endpoints: 0, removed: 2 });
  expect(fixture.ids).toEqual([]);
});

test("an item that is not valid keeps its endpoint's last good state, and the others apply", async () => {
  const fixture = await started(list("a", "b", "c"));
  fixture.write(`endpoints:\n- {name: a, address: 10.0.0.1, port: eighty}\n${line("b", 9000)}- {name: x}\n`);
  expect(await fixture.nextLine()).toEqual({
    level: "warn",
    message: "endpoints file reloaded; items that are not valid keep their last good state",
    fields: {
      file: fixture.path,
      endpoints: 2,
      added: 0,
      updated: 1,
      removed: 1,
      kept: 1,
      refused: 2,
      problems: [
        `${fixture.path}:2:38 port is "eighty"; use a number from 1 to 65535`,
        `${fixture.path}:4:3 address is missing`,
        `${fixture.path}:4:3 port is missing`,
      ],
    },
  });
  expect(fixture.known.get("default/a")!.port).toBe(8000);
  expect(fixture.known.get("default/b")!.port).toBe(9000);
});

test("an item that does not say which endpoint it is keeps every endpoint that is not listed", async () => {
  const fixture = await started(list("a", "b"));
  fixture.write(`endpoints:\n${line("c")}- {address: 10.0.0.1, port: 1}\n`);
  expect((await fixture.nextLine()).fields).toMatchObject({ endpoints: 3, added: 1, removed: 0, kept: 2, refused: 1 });
});

test("an endpoint kept in its last good state is removed when the file no longer lists it", async () => {
  const fixture = await started(list("a", "b"));
  fixture.write(`endpoints:\n${line("a")}- {name: b}\n`);
  await fixture.nextLine();
  fixture.write(list("a"));
  expect((await fixture.nextLine()).fields).toMatchObject({ endpoints: 1, removed: 1 });
});

test("a file that grows bit by bit is read when it rests", async () => {
  const fixture = await started(list("a"));
  await fixture.pass();
  fixture.write("endpoints:\n");
  for (let i = 0; i < 10; i++) {
    fixture.clock.advance(30);
    await new Promise((resolve) => setTimeout(resolve, 15));
    fixture.write(list(...Array.from({ length: i + 1 }, (_, n) => `n${n}`)));
  }
  await fixture.until("all ten", () => fixture.ids.length === 10);
  expect(fixture.log.filter(({ level }) => level === "warn")).toEqual([]);
});

test("a file that takes too long to read is refused", async () => {
  const fixture = await started(list("a"));
  fixture.write(`endpoints: [${",".repeat(700_000)}]`);
  await fixture.until("the refusal", () => fixture.log.length > 1, 3000);
  expect(fixture.log[1]!.fields["problems"]).toEqual([`${fixture.path}: reading it takes longer than 20 seconds`]);
  expect(fixture.ids).toEqual(["default/a"]);
});

test("disposal in the middle of a reading ends it without a word and without a timer", async () => {
  const fixture = await started(list("a"));
  fixture.write(`endpoints: [${",".repeat(700_000)}]`);
  for (let i = 0; i < 40; i++) {
    fixture.clock.advance(10);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  // The look at the file every second, and the thread's time limit.
  expect(fixture.clock.pendingTimers).toBe(2);
  await fixture.instance.dispose?.();
  await fixture.until("the end of the thread", () => fixture.clock.pendingTimers === 0);
  await fixture.pass();
  expect(fixture.ids).toEqual(["default/a"]);
  expect(fixture.log).toHaveLength(1);
});

test("after disposal nothing is followed and no timer is left", async () => {
  const fixture = await started(list("a"));
  await fixture.instance.dispose?.();
  fixture.write(list("b"));
  await fixture.pass();
  expect(fixture.ids).toEqual(["default/a"]);
  expect(fixture.clock.pendingTimers).toBe(0);
});

test("the dumped state is sorted and bounded", async () => {
  const names = Array.from({ length: 150 }, (_, i) => `n${String(149 - i).padStart(3, "0")}`);
  const fixture = await started(list(...names));
  expect(fixture.instance.dumpState?.()).toEqual({
    endpoints: names
      .toSorted()
      .slice(0, 100)
      .map((name) => `default/${name}`),
    totalEndpoints: 150,
    maxEndpoints: 100,
    objectives: 0,
    modelRewrites: 0,
  });
});

test("an absolute path is taken as it is", async () => {
  const elsewhere = join(newFolder(), "list.json");
  writeFileSync(elsewhere, JSON.stringify({ endpoints: [{ name: "a", address: "::1", port: 1 }] }));
  const fixture = new FileFixture();
  await fixture.start({ path: elsewhere });
  expect(fixture.ids).toEqual(["default/a"]);
});

test.each([[{}], [{ path: "" }], [{ path: 5 }], [{ path: "x", watchFile: "yes" }]])(
  "parameters %j are refused",
  (params) => {
    expect(() => buildPlugin(plugin, { params })).toThrow();
  },
);
