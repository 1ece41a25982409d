import { type AnyPluginDefinition, definePlugin, EppError, WAITING_QUEUE_SIZE } from "@pointsman/core";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { FakePlugins, places, report, usualPlugins } from "../test/fake-plugins.ts";

/** Plugins of type `node` refer to those that `to` names. */
function withNodes(): FakePlugins {
  return usualPlugins().add("node", "admitter", {
    params: z.strictObject({ to: z.array(z.string()).default([]) }),
    references: ({ to }) => (to as readonly string[]).map((name, index) => ({ path: ["to", String(index)], name })),
  });
}

describe("types", () => {
  test("an unknown type is refused with the nearest type and its package", async () => {
    const outcome = await usualPlugins().load("plugins: [{name: q, type: queue-scoerr}]");
    expect(places(outcome)).toEqual(["1:27 UNKNOWN_TYPE"]);
    expect(outcome.problems[0]?.message).toBe('plugins[0] "q" has the unknown type "queue-scoerr".');
    expect(outcome.problems[0]?.help).toBe(
      'Nearest: "queue-scorer" (npm package @pointsman/queue-scorer); epp plugins lists all types.',
    );
  });

  test("an unknown type that is like no other is refused with the list of types", async () => {
    const outcome = await usualPlugins().load("plugins: [{type: zzzzqqqq}]");
    expect(outcome.problems[0]?.help).toMatch(/^Types: queue-scorer, .*\.$/);
  });

  test("for a package name, the resolver says where it looked", async () => {
    const outcome = await usualPlugins().load("plugins: [{type: '@acme/gpu-scorer'}]");
    expect(outcome.problems[0]?.message).toBe(
      'plugins[0] "@acme/gpu-scorer" has the unknown type "@acme/gpu-scorer": no such package.',
    );
  });

  test("a type that is not installed names the package to install", async () => {
    const fakes = usualPlugins();
    fakes.failures.set("queue-scorer", { kind: "not-installed", message: "not in node_modules" });
    const outcome = await fakes.load("plugins: [{type: queue-scorer}]");
    expect(places(outcome)).toEqual(["1:18 NOT_INSTALLED"]);
    expect(outcome.problems[0]).toMatchObject({
      message: 'plugins[0] "queue-scorer": type "queue-scorer" is not installed: not in node_modules.',
      help: "Install the npm package @pointsman/queue-scorer.",
    });
  });

  test("a package that cannot be loaded is refused with the text of the failure", async () => {
    const fakes = usualPlugins();
    fakes.failures.set("queue-scorer", { kind: "broken", message: "SyntaxError:\nunexpected token" });
    const outcome = await fakes.load("plugins: [{type: queue-scorer}]");
    expect(places(outcome)).toEqual(["1:18 BROKEN_PLUGIN"]);
    expect(outcome.problems[0]?.message).toContain("SyntaxError: unexpected token.");
  });

  test("a resolver that rejects is a package that cannot be loaded", async () => {
    const fakes = usualPlugins();
    const resolve = fakes.resolve.bind(fakes);
    fakes.resolve = (type) => (type === "queue-scorer" ? Promise.reject(new Error("disk on fire")) : resolve(type));
    const outcome = await fakes.load("plugins: [{type: queue-scorer}]");
    expect(places(outcome)).toEqual(["1:18 BROKEN_PLUGIN"]);
  });

  test("a former name works, warns, and keeps being the name that references use", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: by-label-selector}]\nschedulingProfiles: [{name: a, plugins: [{pluginRef: by-label-selector}]}]",
    );
    expect(places(outcome)).toEqual(["1:18 DEPRECATED_TYPE"]);
    expect(outcome.problems[0]?.help).toBe(
      'Use "label-selector-filter", with "name: by-label-selector" if something refers to it.',
    );
    expect(outcome.effective?.plugins[0]).toEqual({ name: "by-label-selector", type: "label-selector-filter" });
    expect(outcome.graph?.profiles[0]?.filters[0]).toMatchObject({
      name: "by-label-selector",
      type: "label-selector-filter",
    });
  });

  test("a package name stays the type that is written, whatever the plugin calls itself", async () => {
    const fakes = usualPlugins();
    const [definition] = new FakePlugins().add("gpu-scorer", "scorer").definitions;
    const resolve = fakes.resolve.bind(fakes);
    fakes.resolve = async (type) => (type === "@acme/gpu-scorer" && definition ? definition : resolve(type));
    const outcome = await fakes.load("plugins: [{type: '@acme/gpu-scorer'}]");
    expect(report(outcome)).toBe("");
    expect(outcome.effective?.plugins[0]).toEqual({ name: "@acme/gpu-scorer", type: "@acme/gpu-scorer" });
  });

  test("an alpha plugin needs the flag", async () => {
    const fakes = () => usualPlugins().add("topology-affinity-scorer", "scorer", { stability: "alpha" });
    const text = "plugins: [{type: topology-affinity-scorer}]";
    const refused = await fakes().load(text);
    expect(places(refused)).toEqual(["1:18 EXPERIMENTAL"]);
    expect(refused.problems[0]?.help).toContain("--allow-experimental-plugins");
    expect(report(await fakes().load(text, { allowExperimental: true }))).toBe("");
  });

  test("types of flow control are told to be unavailable", async () => {
    const outcome = await usualPlugins().load("plugins: [{type: edf-ordering-policy}]");
    expect(places(outcome)).toEqual(["1:18 UNAVAILABLE"]);
  });

  test("a type is resolved only if the configuration needs it", async () => {
    const fakes = usualPlugins();
    await fakes.load(
      "plugins: [{type: random-picker}, {type: random-picker, name: other}]\nschedulingProfiles: [{name: a, plugins: [{pluginRef: other}]}]",
    );
    expect(fakes.resolved.filter((type) => type === "random-picker")).toHaveLength(1);
    expect(fakes.resolved).not.toContain("max-score-picker");
    expect(fakes.resolved).not.toContain("approx-prefix-cache-producer");
  });
});

describe("names", () => {
  test("two plugins of one name are refused at the second one's name", async () => {
    const outcome = await usualPlugins().load(
      "plugins:\n- type: queue-scorer\n- {type: random-picker, name: queue-scorer}\n- type: queue-scorer\n",
    );
    expect(places(outcome)).toEqual(["3:31 DUPLICATE_NAME", "4:9 DUPLICATE_NAME"]);
    expect(outcome.problems[0]?.message).toBe('plugins[1] "queue-scorer" has the name of plugins[0] "queue-scorer".');
  });

  test("several plugins of one type are fine under names of their own", async () => {
    const fakes = usualPlugins();
    const outcome = await fakes.load("plugins: [{type: decode-filter, name: a}, {type: decode-filter, name: b}]");
    expect(report(outcome)).toBe("");
    expect(outcome.graph?.profiles[0]?.filters.map(({ name }) => name)).toEqual(["a", "b"]);
  });

  test.each(["constructor", "__proto__", "toString", "a b/c.d", "ünïcödé"])(
    "%s is a name like any other",
    async (name) => {
      const text = `plugins: [{type: decode-filter, name: ${name}}]\nschedulingProfiles: [{name: ${name}, plugins: [{pluginRef: ${name}}]}]`;
      const outcome = await usualPlugins().load(text);
      expect(report(outcome)).toBe("");
      expect(outcome.graph?.profiles[0]).toMatchObject({ name, filters: [{ name }] });
    },
  );
});

describe("creation", () => {
  test("plugins are created after those their parameters refer to, otherwise in list order", async () => {
    const fakes = withNodes();
    const outcome = await fakes.load(
      "plugins:\n- {type: node, name: a, parameters: {to: [d, c]}}\n- {type: node, name: b}\n- {type: node, name: c, parameters: {to: [b]}}\n- {type: node, name: d}\n",
    );
    expect(report(outcome)).toBe("");
    expect(fakes.events.slice(0, 4)).toEqual(["create d", "create b", "create c", "create a"]);
    expect(outcome.graph?.plugins.slice(0, 4).map(({ name }) => name)).toEqual(["a", "b", "c", "d"]);
  });

  test("a plugin finds those it refers to through its host", async () => {
    const seen: unknown[] = [];
    const fakes = usualPlugins().add("asker", "admitter", {
      params: z.strictObject({ of: z.string() }),
      references: ({ of }) => [{ path: ["of"], name: String(of) }],
      onCreate: ({ of }, host) =>
        seen.push(
          host.plugin(String(of)),
          host.plugin("nobody"),
          host.baseDirectory,
          host.name,
          host.type,
          host.random(),
        ),
    });
    const outcome = await fakes.load("plugins: [{type: asker, parameters: {of: q}}, {type: queue-scorer, name: q}]");
    expect(seen).toEqual([outcome.graph?.plugins[1]?.instance, undefined, "/etc/epp", "asker", "asker", 0.5]);
  });

  test("a reference to a plugin that is not declared is refused where it stands", async () => {
    const outcome = await withNodes().load(
      "plugins:\n- {type: node, name: alpha, parameters: {to: [alhpa, nobody]}}\n",
    );
    expect(places(outcome)).toEqual(["2:47 UNDEFINED_REF", "2:54 UNDEFINED_REF"]);
    expect(outcome.problems[0]).toMatchObject({
      message: 'plugins[0] "alpha" refers to "alhpa", and no plugin has this name.',
      help: 'Nearest: "alpha". Plugins: alpha.',
    });
  });

  test("a reference by type to a plugin with a name of its own is told the name", async () => {
    const outcome = await usualPlugins().load(
      "plugins: [{type: queue-scorer, name: short}]\nschedulingProfiles: [{name: a, plugins: [{pluginRef: queue-scorer}]}]",
    );
    expect(places(outcome)).toEqual(["2:54 UNDEFINED_REF"]);
    expect(outcome.problems[0]?.help).toBe('Nearest: "short". Plugins: short.');
  });

  test("plugins that refer to each other in a circle are refused once, and what refers to them is no further problem", async () => {
    const fakes = withNodes();
    const outcome = await fakes.load(
      "plugins:\n- {type: node, name: outside, parameters: {to: [a]}}\n- {type: node, name: a, parameters: {to: [b]}}\n- {type: node, name: b, parameters: {to: [c]}}\n- {type: node, name: c, parameters: {to: [a]}}\n",
    );
    expect(places(outcome)).toEqual(["5:43 REF_CYCLE"]);
    expect(outcome.problems[0]?.message).toContain("a -> b -> c -> a");
    for (const name of ["outside", "a", "b", "c"]) expect(fakes.events).not.toContain(`create ${name}`);
  });

  test("a plugin that refers to itself is a circle", async () => {
    expect(places(await withNodes().load("plugins: [{type: node, name: a, parameters: {to: [a]}}]"))).toEqual([
      "1:51 REF_CYCLE",
    ]);
  });

  test("a plugin that does not start is refused with its own words", async () => {
    const fakes = usualPlugins().add("picky", "admitter", {
      onCreate: () => {
        throw new EppError("EPP_X", "needs more coffee");
      },
    });
    const outcome = await fakes.load("plugins: [{type: picky, name: p}]");
    expect(places(outcome)).toEqual(["1:18 CREATE_FAILED"]);
    expect(outcome.problems[0]?.message).toBe('plugins[0] "p" does not start: needs more coffee.');
  });

  test("a plugin that returns no instance does not start", async () => {
    // A plugin in plain JavaScript may return anything.
    const create = (() => undefined) as unknown as AnyPluginDefinition["create"];
    const hollow = definePlugin({ type: "hollow", kind: "admitter", stability: "beta", summary: "Fake.", create });
    expect(places(await usualPlugins().addDefinition(hollow).load("plugins: [{type: hollow}]"))).toEqual([
      "1:18 CREATE_FAILED",
    ]);
  });

  test.each([
    ["that is a promise", async () => ({ score: () => undefined }), "create returned a promise"],
    ["that is a promise which fails", () => Promise.reject(new Error("late")), "create returned a promise"],
    ["without the method of its kind", () => ({}), 'what a plugin of kind scorer creates needs the method "score"'],
  ])("an instance %s is refused", async (_name, made, message) => {
    // A plugin in plain JavaScript may return anything.
    const create = made as unknown as AnyPluginDefinition["create"];
    const odd = definePlugin({ type: "odd", kind: "scorer", stability: "beta", summary: "Fake.", create });
    const outcome = await usualPlugins().addDefinition(odd).load("plugins: [{type: odd}]");
    expect(places(outcome)).toEqual(["1:18 CREATE_FAILED"]);
    expect(outcome.problems[0]?.message).toContain(message);
  });

  test("a kind that does not exist is a broken plugin", async () => {
    // A plugin in plain JavaScript may say anything.
    const kind = "admiter" as AnyPluginDefinition["kind"];
    const odd = definePlugin({ type: "odd", kind, stability: "beta", summary: "Fake.", create: () => ({}) });
    const outcome = await usualPlugins().addDefinition(odd).load("plugins: [{type: odd}]");
    expect(places(outcome)).toEqual(["1:18 BROKEN_PLUGIN"]);
    expect(outcome.problems[0]).toMatchObject({
      message: 'plugins[0] "odd" is of kind "admiter", which does not exist.',
      help: expect.stringContaining("Kinds: filter, scorer,"),
    });
  });

  test("a plugin that reads what it does not declare does not start", async () => {
    const fakes = usualPlugins().add("snoop", "admitter", {
      onCreate: (_, host) => host.endpointReader(WAITING_QUEUE_SIZE),
    });
    const outcome = await fakes.load("plugins: [{type: snoop}]");
    expect(places(outcome)).toEqual(["1:18 CREATE_FAILED"]);
    expect(outcome.problems[0]?.message).toContain("WaitingQueueSize/core-metrics-extractor");
  });

  test("declarations that throw are a broken plugin", async () => {
    const fakes = usualPlugins().add("odd", "admitter", {
      consumes: () => {
        throw new Error("what now");
      },
    });
    expect(places(await fakes.load("plugins: [{type: odd}]"))).toEqual(["1:18 BROKEN_PLUGIN"]);
  });
});

describe("disposal", () => {
  test("with an error, everything that was created is disposed, the last one first", async () => {
    const fakes = usualPlugins();
    const outcome = await fakes.load("plugins: [{type: decode-filter}, {type: random-picker}, {type: nope}]");
    expect(outcome.graph).toBeUndefined();
    const created = fakes.events.filter((event) => event.startsWith("create ")).map((event) => event.slice(7));
    const disposed = fakes.events.filter((event) => event.startsWith("dispose ")).map((event) => event.slice(8));
    expect(created.length).toBeGreaterThan(1);
    expect(disposed).toEqual(created.toReversed());
  });

  test("the graph disposes its plugins once, stops their timers and survives a plugin that fails to", async () => {
    const fakes = usualPlugins().add("ticker", "admitter", {
      onCreate: (_, host) => {
        host.timers.every(1000, () => {});
        host.timers.after(1000, () => {});
      },
    });
    const stuck = definePlugin({
      type: "stuck",
      kind: "admitter",
      stability: "beta",
      summary: "Fake.",
      create: (_, host) => {
        host.timers.every(50, () => {});
        return { admitRequest: () => undefined, dispose: () => Promise.reject(new Error("no")) };
      },
    });
    const { graph } = await fakes.addDefinition(stuck).load("plugins: [{type: ticker}, {type: stuck}]");
    expect(fakes.clock.pendingTimers).toBe(3);
    await graph?.dispose();
    expect(fakes.clock.pendingTimers).toBe(0);
    const events = fakes.events.length;
    expect(fakes.events).toContain("dispose ticker");
    await graph?.dispose();
    expect(fakes.events).toHaveLength(events);
  });

  test("timers of a plugin that does not start are stopped", async () => {
    const fakes = usualPlugins().add("half", "admitter", {
      onCreate: (_, host) => {
        host.timers.every(1000, () => {});
        throw new Error("second thoughts");
      },
    });
    await fakes.load("plugins: [{type: half}]");
    expect(fakes.clock.pendingTimers).toBe(0);
  });
});
