import { defineAttribute } from "@pointsman/core";
import { describe, expect, test } from "vitest";
import { type FakeOptions, type FakePlugins, places, report, usualPlugins } from "../test/fake-plugins.ts";
import type { LoadOutcome } from "./index.ts";

const sources = (outcome: LoadOutcome): readonly string[] | undefined =>
  outcome.graph?.sources.map(
    ({ source, extractors }) => `${source.name}: ${extractors.map(({ name }) => name).join(" ")}`,
  );
const names = (outcome: LoadOutcome): readonly string[] => outcome.effective?.plugins.map(({ name }) => name) ?? [];

/** Without a detector, so that nothing but what the test declares reads metrics. */
const fakes = (): FakePlugins => usualPlugins().remove("utilization-detector");

const key = (dataType: string, defaultProducer: string, scope: "endpoint" | "request" = "request") =>
  defineAttribute({ dataType: `test-${dataType}`, scope, defaultProducer, autoCreate: true });

describe("metrics source", () => {
  test("it is added when a plugin reads what the extractor writes", async () => {
    const outcome = await fakes().load("plugins: [{type: queue-scorer}]");
    expect(report(outcome)).toBe("");
    expect(sources(outcome)).toEqual(["metrics-data-source: core-metrics-extractor"]);
  });

  test("it is not added, nor its packages loaded, when nobody reads metrics", async () => {
    const plugins = fakes();
    const outcome = await plugins.load("plugins: [{type: random-picker}, {type: decode-filter}]");
    expect(report(outcome)).toBe("");
    expect(sources(outcome)).toEqual([]);
    expect(names(outcome)).not.toContain("metrics-data-source");
  });

  test("a plugin that is declared and does nothing does not make it scrape", async () => {
    const outcome = await fakes().load("plugins: [{type: queue-scorer}]\nschedulingProfiles: [{name: a}]");
    expect(places(outcome)).toEqual(["1:18 UNUSED_PLUGIN"]);
    expect(sources(outcome)).toEqual([]);
  });

  test("data that a plugin can do without is reason enough", async () => {
    const outcome = await usualPlugins().load("plugins: [{type: utilization-detector}]");
    expect(sources(outcome)).toEqual(["metrics-data-source: core-metrics-extractor"]);
  });

  test("data of producers added by default is, too", async () => {
    const outcome = await fakes()
      .add("eager-producer", "producer", {
        consumes: () => ({
          optional: [
            defineAttribute<number>({
              dataType: "WaitingQueueSize",
              scope: "endpoint",
              defaultProducer: "core-metrics-extractor",
            }).from(),
          ],
        }),
        produces: () => [key("eager", "eager-producer").from()],
      })
      .add("eager-scorer", "scorer", { consumes: () => ({ required: [key("eager", "eager-producer").from()] }) })
      .load("plugins: [{type: eager-scorer}]");
    expect(report(outcome)).toBe("");
    expect(sources(outcome)).toEqual(["metrics-data-source: core-metrics-extractor"]);
  });

  test("a declared source and a declared extractor are found by type, whatever their names", async () => {
    const outcome = await fakes().load(
      "plugins: [{type: core-metrics-extractor, name: e}, {type: queue-scorer}, {type: metrics-data-source, name: s}]",
    );
    expect(report(outcome)).toBe("");
    expect(sources(outcome)).toEqual(["s: e"]);
    expect(outcome.graph?.plugins.filter(({ type }) => type === "metrics-data-source")).toHaveLength(1);
  });

  test("a stated source of the type is not added again under its default name", async () => {
    const outcome = await fakes().load(
      "plugins: [{type: core-metrics-extractor, name: e}, {type: queue-scorer}, {type: metrics-data-source, name: s}]\ndataLayer: {sources: [{pluginRef: s, extractors: [{pluginRef: e}]}]}",
    );
    expect(report(outcome)).toBe("");
    expect(sources(outcome)).toEqual(["s: e"]);
  });

  test("it is added to sources of other types", async () => {
    const outcome = await fakes()
      .add("gpu-source", "source", { payload: "json" })
      .add("gpu-extractor", "extractor", { payload: "json" })
      .load(
        "plugins: [{type: queue-scorer}, {type: gpu-source}, {type: gpu-extractor}]\ndataLayer: {sources: [{pluginRef: gpu-source, extractors: [{pluginRef: gpu-extractor}]}]}",
      );
    expect(report(outcome)).toBe("");
    expect(sources(outcome)).toEqual(["gpu-source: gpu-extractor", "metrics-data-source: core-metrics-extractor"]);
  });

  test("with injectDefaults off, metrics that nobody writes are refused for each reader", async () => {
    const outcome = await fakes().load(
      "plugins:\n- type: queue-scorer\n- type: kv-cache-utilization-scorer\ndataLayer: {injectDefaults: false}\n",
    );
    expect(places(outcome)).toEqual(["2:9 MISSING_PRODUCER", "3:9 MISSING_PRODUCER"]);
    expect(outcome.problems[0]).toMatchObject({
      message:
        'plugins[0] "queue-scorer" needs WaitingQueueSize/core-metrics-extractor, and no plugin at work writes it.',
      help: 'List "metrics-data-source" with the extractor "core-metrics-extractor" in dataLayer.sources.',
    });
  });

  test("with injectDefaults off, an extractor that no source feeds writes nothing", async () => {
    const outcome = await fakes().load(
      "plugins:\n- type: queue-scorer\n- type: core-metrics-extractor\ndataLayer: {injectDefaults: false}\n",
    );
    expect(places(outcome)).toEqual(["2:9 MISSING_PRODUCER"]);
    expect(outcome.problems[0]?.help).toBe(
      'List "core-metrics-extractor" as extractor of an entry of dataLayer.sources.',
    );
  });

  test("an extractor that is not installed is one problem, of the first reader", async () => {
    const plugins = fakes();
    plugins.failures.set("core-metrics-extractor", { kind: "not-installed", message: "not in node_modules" });
    const outcome = await plugins.load("plugins: [{type: queue-scorer}, {type: kv-cache-utilization-scorer}]");
    expect(places(outcome)).toEqual(["1:18 NOT_INSTALLED"]);
    expect(outcome.problems[0]?.message).toContain('(plugins[0] "queue-scorer" reads metrics)');
  });
});

describe("default producers", () => {
  test("a required key without a producer adds the default one, and what that one needs", async () => {
    const outcome = await fakes().load("plugins: [{type: prefix-cache-scorer}]");
    expect(report(outcome)).toBe("");
    expect(names(outcome).slice(-2)).toEqual(["approx-prefix-cache-producer", "token-producer"]);
    expect(outcome.graph?.producers.map((level) => level.map(({ name }) => name))).toEqual([
      ["token-producer"],
      ["approx-prefix-cache-producer"],
    ]);
  });

  test("a declared producer of the name is used", async () => {
    const outcome = await fakes().load(
      "plugins: [{type: approx-prefix-cache-producer, parameters: {blockSizeTokens: 16}}, {type: prefix-cache-scorer}]",
    );
    expect(report(outcome)).toBe("");
    expect(outcome.graph?.plugins.filter(({ type }) => type === "approx-prefix-cache-producer")).toHaveLength(1);
  });

  test("a declared producer of another name is used by those who name it", async () => {
    const outcome = await fakes().load(
      "plugins: [{type: approx-prefix-cache-producer, name: p}, {type: prefix-cache-scorer, parameters: {prefixMatchInfoProducerName: p}}]",
    );
    expect(report(outcome)).toBe("");
    expect(names(outcome)).not.toContain("approx-prefix-cache-producer");
  });

  test("beside a producer of the same type and another name, adding a second one is warned of", async () => {
    const outcome = await fakes().load(
      "plugins: [{type: approx-prefix-cache-producer, name: p}, {type: prefix-cache-scorer}]",
    );
    expect(places(outcome)).toEqual(["1:65 SECOND_PRODUCER"]);
    expect(names(outcome)).toContain("approx-prefix-cache-producer");
  });

  test("a default producer that cannot do without parameters is an error of its reader", async () => {
    const outcome = await fakes()
      .add("session-scorer", "scorer", {
        consumes: () => ({
          required: [
            defineAttribute({
              dataType: "SessionIDDataKey",
              scope: "request",
              defaultProducer: "session-id-producer",
              autoCreate: true,
            }).from(),
          ],
        }),
      })
      .load("plugins: [{type: session-scorer}]");
    expect(places(outcome)).toEqual(["1:18 MISSING_PARAM"]);
    expect(outcome.problems[0]?.message).toBe(
      'default plugin "session-id-producer" (plugins[0] "session-scorer" needs SessionIDDataKey/session-id-producer) needs the parameter "header".',
    );
  });

  test("a default producer that is not known or not allowed is an error of its reader", async () => {
    const text = "plugins: [{type: prefix-cache-scorer}]";
    expect(places(await fakes().remove("approx-prefix-cache-producer").load(text))).toEqual(["1:18 NOT_INSTALLED"]);
    const alpha = fakes().add("approx-prefix-cache-producer", "producer", { stability: "alpha" });
    expect(places(await alpha.load(text))).toEqual(["1:18 EXPERIMENTAL"]);
  });

  test("a default producer whose name is taken by another plugin is an error", async () => {
    const outcome = await fakes().load(
      "plugins: [{type: prefix-cache-scorer}, {type: decode-filter, name: approx-prefix-cache-producer}]",
    );
    expect(places(outcome)).toEqual(["1:18 NAME_TAKEN"]);
  });

  test("two default producers whose data depends on each other end the search", async () => {
    const [a, b] = [key("a", "a-producer").from(), key("b", "b-producer").from()];
    const circle: (reads: typeof a, writes: typeof b) => FakeOptions = (reads, writes) => ({
      consumes: () => ({ required: [reads] }),
      produces: () => [writes],
    });
    const outcome = await fakes()
      .add("a-producer", "producer", circle(b, a))
      .add("b-producer", "producer", circle(a, b))
      .add("a-scorer", "scorer", { consumes: () => ({ required: [a] }) })
      .load("plugins: [{type: a-scorer}]");
    expect(places(outcome)).toEqual(["1:18 DATA_CYCLE"]);
  });
});

describe("data that nobody writes", () => {
  test("required data without a default producer says who needs it and who would write it", async () => {
    const lonely = defineAttribute({
      dataType: "test-lonely",
      scope: "endpoint",
      defaultProducer: "lonely-producer",
    }).from();
    const outcome = await fakes()
      .add("lonely-scorer", "scorer", { consumes: () => ({ required: [lonely] }) })
      .load("plugins: [{type: lonely-scorer}]");
    expect(places(outcome)).toEqual(["1:18 MISSING_PRODUCER"]);
    expect(outcome.problems[0]).toMatchObject({
      message: 'plugins[0] "lonely-scorer" needs test-lonely/lonely-producer, and no plugin at work writes it.',
      help: 'Declare the plugin that writes it: "type: lonely-producer", or one named "lonely-producer".',
    });
  });

  test("a default producer that writes several keys is added, or missed, once", async () => {
    const text = "plugins: [{type: token-load-scorer}]";
    expect(report(await fakes().load(text))).toBe("");
    expect(places(await fakes().remove("inflight-load-producer").load(text))).toEqual(["1:18 NOT_INSTALLED"]);
  });

  test("a key of a named producer that is not declared is refused; others of the kind are named", async () => {
    const outcome = await fakes().load(
      "plugins: [{type: approx-prefix-cache-producer, name: p}, {type: prefix-cache-scorer, parameters: {prefixMatchInfoProducerName: q}}]",
    );
    expect(places(outcome)).toEqual(["1:65 MISSING_PRODUCER"]);
    expect(outcome.problems[0]).toMatchObject({
      message: 'plugins[1] "prefix-cache-scorer" needs PrefixCacheMatchInfoDataKey/q, and no plugin at work writes it.',
      help: 'Declare the plugin that writes it: "type: q", or one named "q". Or read one of these: p.',
    });
  });

  test("a plugin of the name that writes something else is named", async () => {
    const outcome = await fakes().load(
      "plugins: [{type: inflight-load-producer, name: q}, {type: decode-filter, name: r}, {type: prefix-cache-scorer, parameters: {prefixMatchInfoProducerName: q}}, {type: no-hit-lru-scorer, parameters: {prefixMatchInfoProducerName: r}}]",
    );
    expect(places(outcome)).toEqual(["1:91 MISSING_PRODUCER", "1:166 MISSING_PRODUCER"]);
    expect(outcome.problems.map(({ help }) => help)).toEqual([
      '"q" writes InFlightLoadDataKey/inflight-load-producer, UncachedRequestTokensDataKey/inflight-load-producer.',
      '"r" writes nothing.',
    ]);
  });

  test("data of a plugin that was refused is no further problem", async () => {
    for (const entry of [
      "{type: approx-prefix-cache-producer, parameters: {n: 1}, name: q}",
      "{type: nope, name: q}",
      "{type: nope}",
    ]) {
      const outcome = await fakes().load(
        `plugins: [${entry}, {type: prefix-cache-scorer, parameters: {prefixMatchInfoProducerName: q}}]`,
      );
      expect(outcome.problems).toHaveLength(1);
    }
  });

  test("optional data that nobody writes is no problem", async () => {
    const outcome = await fakes()
      .add("relaxed-scorer", "scorer", { consumes: () => ({ optional: [key("rare", "rare-producer").from()] }) })
      .load("plugins: [{type: relaxed-scorer}]");
    expect(report(outcome)).toBe("");
    expect(names(outcome)).not.toContain("rare-producer");
  });

  test("keys that come from another copy of core count by their text", async () => {
    const own = key("copied", "copied-producer").from();
    const copy = { ...own, index: 999 };
    const outcome = await fakes()
      .add("copied-producer", "producer", { produces: () => [copy] })
      .add("copied-scorer", "scorer", { consumes: () => ({ required: [own] }) })
      .load("plugins: [{type: copied-producer, name: other}, {type: copied-scorer}]");
    expect(report(outcome)).toBe("");
    expect(outcome.graph?.consumed.map(({ id }) => id)).toEqual(["test-copied/copied-producer"]);
  });
});
