import { expect, test } from "vitest";
import { RecordingLogger } from "../../test/recording-logger.ts";
import { RecordingMetrics } from "../../test/recording-metrics.ts";
import { buildEndpoint, buildRequest, FakeClock, named } from "../../test/testkit.ts";
import { defineAttribute } from "../attributes/attribute-key.ts";
import type { StageTrace } from "../decision/decision-record.ts";
import { createHost } from "../plugin/create-host.ts";
import { definePlugin, type RequestWriter } from "../plugin/plugin.ts";
import type { DataProducer } from "../plugin/request-plugins.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import { PluginCalls } from "../scheduling/plugin-calls.ts";
import { type ProducerLevels, runProducers } from "./producer-run.ts";

const endpoints = [buildEndpoint(0)];
const result = defineAttribute<string>({ dataType: "ProducerRunResult", scope: "request", defaultProducer: "none" });

/** Producers under the test's control: each call waits until the test settles it by name. */
class Stage {
  readonly clock = new FakeClock();
  readonly logger = new RecordingLogger();
  readonly metrics = new RecordingMetrics();
  readonly request = buildRequest();
  readonly stages: StageTrace[] = [];
  readonly started: string[] = [];
  readonly #settle = new Map<string, { resolve: () => void; reject: (reason: unknown) => void }>();
  /** Whether the run gave a promise. */
  waited = false;
  #done = false;

  producer(name: string, produceTimeoutMs?: number): NamedPlugin<DataProducer> {
    const produce = (): Promise<void> => {
      this.started.push(name);
      return new Promise((resolve, reject) => this.#settle.set(name, { resolve, reject }));
    };
    return named({ produce, ...(produceTimeoutMs === undefined ? {} : { produceTimeoutMs }) }, name);
  }

  immediate(name: string, produce: () => void = () => {}): NamedPlugin<DataProducer> {
    return named(
      {
        produce: () => {
          this.started.push(name);
          return produce();
        },
      },
      name,
    );
  }

  start(levels: ProducerLevels): void {
    const { clock, request, stages } = this;
    const calls = new PluginCalls(this.metrics, this.logger);
    const waiting = runProducers(levels, request, endpoints, stages, { calls, clock, timers: clock.timers });
    this.waited = waiting !== undefined;
    waiting?.then(
      () => {
        this.#done = true;
      },
      () => expect.unreachable("the run rejects"),
    );
  }

  async resolve(name: string): Promise<boolean> {
    this.#settle.get(name)!.resolve();
    return this.settled();
  }

  async reject(name: string, reason: unknown): Promise<boolean> {
    this.#settle.get(name)!.reject(reason);
    return this.settled();
  }

  /** Whether the whole run is over, once pending reactions have run. */
  async settled(): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.#done;
  }

  get problems(): readonly (readonly [string | undefined, string | undefined])[] {
    return this.stages.map(({ plugin, problem }) => [plugin?.name, problem]);
  }

  get failures(): number {
    return this.metrics.value("llm_d_epp_plugin_failures_total", { extension_point: "DataProducer" });
  }
}

test("producers that do not wait run in order and give no promise", () => {
  const stage = new Stage();
  stage.start([[stage.immediate("a"), stage.immediate("b")], [stage.immediate("c")]]);
  expect(stage.waited).toBe(false);
  expect(stage.started).toEqual(["a", "b", "c"]);
  expect(stage.problems).toEqual([
    ["a", undefined],
    ["b", undefined],
    ["c", undefined],
  ]);
});

test("no producers are no work", () => {
  const stage = new Stage();
  stage.start([]);
  expect(stage.waited).toBe(false);
  stage.start([[], []]);
  expect(stage.waited).toBe(false);
});

test("producers of one level start side by side, and the next level starts when all are done", async () => {
  const stage = new Stage();
  stage.start([[stage.producer("a"), stage.immediate("b"), stage.producer("c")], [stage.producer("d")]]);
  expect(stage.started).toEqual(["a", "b", "c"]);
  expect(await stage.resolve("c")).toBe(false);
  expect(stage.started).toEqual(["a", "b", "c"]);
  expect(await stage.resolve("a")).toBe(false);
  expect(stage.started).toEqual(["a", "b", "c", "d"]);
  expect(await stage.resolve("d")).toBe(true);
  expect(stage.problems.map(([name]) => name)).toEqual(["b", "c", "a", "d"]);
  expect(stage.clock.pendingTimers).toBe(0);
});

test("a producer that throws or rejects is reported, and the others and the next level go on", async () => {
  const stage = new Stage();
  const throwing = stage.immediate("throws", () => {
    throw new Error("boom");
  });
  stage.start([[throwing, stage.producer("rejects"), stage.producer("works")], [stage.immediate("next")]]);
  expect(await stage.reject("rejects", new Error("no service"))).toBe(false);
  expect(await stage.resolve("works")).toBe(true);
  expect(stage.started).toEqual(["throws", "rejects", "works", "next"]);
  expect(stage.problems).toEqual([
    ["throws", "threw"],
    ["rejects", "failed"],
    ["works", undefined],
    ["next", undefined],
  ]);
  expect(stage.logger.of("error").map(({ fields }) => [fields["plugin"], fields["cause"]])).toEqual([
    ["throws", "boom"],
    ["rejects", "no service"],
  ]);
  expect(stage.failures).toBe(2);
});

test.each([
  { name: "its own time", produceTimeoutMs: 50, waitedMs: 50 },
  { name: "400 ms when it states none", produceTimeoutMs: undefined, waitedMs: 400 },
])("a producer is waited for $name", async ({ produceTimeoutMs, waitedMs }) => {
  const stage = new Stage();
  stage.start([[stage.producer("slow", produceTimeoutMs), stage.producer("quick")]]);
  await stage.resolve("quick");
  stage.clock.advance(waitedMs - 1);
  expect(await stage.settled()).toBe(false);
  expect(stage.request.isLate("slow")).toBe(false);
  stage.clock.advance(1);
  expect(await stage.settled()).toBe(true);
  expect(stage.request.isLate("slow")).toBe(true);
  expect(stage.request.isLate("quick")).toBe(false);
  expect(stage.problems).toEqual([
    ["quick", undefined],
    ["slow", `took longer than ${waitedMs} ms`],
  ]);
  expect(stage.failures).toBe(1);
});

test("a producer that settles after its time is not reported again", async () => {
  const stage = new Stage();
  stage.start([[stage.producer("slow", 10), stage.producer("slower", 10)]]);
  stage.clock.advance(10);
  await stage.resolve("slow");
  await stage.reject("slower", new Error("late failure"));
  expect(stage.stages).toHaveLength(2);
  expect(stage.failures).toBe(2);
  expect(stage.logger.of("error").map(({ fields }) => fields["problem"])).toEqual(
    Array(2).fill("took longer than 10 ms"),
  );
});

test("what a late producer writes through its host is dropped; what it wrote before stays", async () => {
  const stage = new Stage();
  const written: RequestWriter<string>[] = [];
  const producers = ["late", "punctual"].map((name) => {
    const definition = definePlugin({
      type: "writer",
      kind: "producer",
      stability: "beta",
      summary: "Writes.",
      produces: (_params, own) => [result.from(own)],
      create: () => ({}),
    });
    const host = createHost(definition, name, undefined, {
      logger: stage.logger,
      metrics: stage.metrics,
      clock: stage.clock,
      timers: stage.clock.timers,
      baseDirectory: ".",
      stalenessMs: 2000,
      random: () => 0,
      endpoints: () => [],
      plugin: () => undefined,
    });
    written.push(host.requestWriter(result.from(name)));
    return stage.producer(name, name === "late" ? 10 : 1000);
  });
  stage.start([producers]);
  for (const writer of written) writer.set(stage.request, "first");
  stage.clock.advance(10);
  for (const writer of written) writer.set(stage.request, "second");
  expect(await stage.resolve("punctual")).toBe(true);
  expect(stage.request.attributes.get(result.from("late"))).toBe("first");
  expect(stage.request.attributes.get(result.from("punctual"))).toBe("second");
});

test("durations run until the producer is done or given up", async () => {
  const stage = new Stage();
  stage.start([[stage.producer("a", 100), stage.producer("b", 30)]]);
  stage.clock.advance(20);
  await stage.resolve("a");
  stage.clock.advance(10);
  await stage.settled();
  expect(stage.stages.map(({ plugin, durationMs }) => [plugin?.name, durationMs])).toEqual([
    ["a", 20],
    ["b", 30],
  ]);
  expect(stage.metrics.observations("llm_d_epp_plugin_duration_seconds", { plugin_name: "b" })).toEqual([0.03]);
});

test("a value that is no promise counts as done", async () => {
  const stage = new Stage();
  const odd: NamedPlugin<DataProducer> = named(
    {
      // What a plugin without types may return.
      produce: (() => 7) as unknown as DataProducer["produce"],
    },
    "odd",
  );
  stage.start([[odd], [stage.immediate("next")]]);
  expect(await stage.settled()).toBe(true);
  expect(stage.started).toEqual(["next"]);
  expect(stage.failures).toBe(0);
  expect(stage.clock.pendingTimers).toBe(0);
});

test("producers see the request and its candidates, and run without a trace", () => {
  const stage = new Stage();
  const seen: unknown[] = [];
  const watching = named<DataProducer>({ produce: (...given) => void seen.push(given) }, "watching");
  const calls = new PluginCalls(stage.metrics, stage.logger);
  const deps = { calls, clock: stage.clock, timers: stage.clock.timers };
  expect(runProducers([[watching]], stage.request, endpoints, undefined, deps)).toBeUndefined();
  expect(seen).toEqual([[stage.request, endpoints]]);
});
