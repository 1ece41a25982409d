import { type AttributeKey, defineAttribute, type Role } from "@pointsman/core";
import { describe, expect, test } from "vitest";
import { places, usualPlugins } from "../test/fake-plugins.ts";
import type { LoadOutcome } from "./index.ts";

const key = (name: string, scope: "endpoint" | "request" = "request"): AttributeKey<unknown> =>
  defineAttribute({ dataType: `order-${scope}-${name}`, scope, defaultProducer: "someone" }).from();

interface Producer {
  readonly writes?: string;
  readonly needs?: string;
  readonly likes?: string;
  readonly roles?: readonly Role[];
  readonly scope?: "endpoint" | "request";
}

/** Loads producers by name, in the order given; each letter is a piece of data. */
function load(producers: Readonly<Record<string, Producer>>): Promise<LoadOutcome> {
  const fakes = usualPlugins().remove("utilization-detector");
  for (const [name, { writes = "", needs = "", likes = "", roles, scope }] of Object.entries(producers)) {
    fakes.add(name, "producer", {
      ...(roles === undefined ? {} : { roles }),
      consumes: () => ({
        required: [...needs].map((one) => key(one, scope)),
        optional: [...likes].map((one) => key(one, scope)),
      }),
      produces: () => [...writes].map((one) => key(one, scope)),
    });
  }
  return fakes.load(
    `plugins:\n${Object.keys(producers)
      .map((name) => `- type: ${name}\n`)
      .join("")}`,
  );
}

const levels = (outcome: LoadOutcome): readonly string[] | undefined =>
  outcome.graph?.producers.map((level) => level.map(({ name }) => name).join(" "));

describe("levels", () => {
  test("independent producers run side by side, in list order", async () => {
    expect(levels(await load({ c: {}, a: {}, b: {} }))).toEqual(["c a b"]);
  });

  test("a producer comes after those whose data it needs", async () => {
    expect(
      levels(await load({ last: { needs: "xy" }, first: { writes: "x" }, middle: { needs: "x", writes: "y" } })),
    ).toEqual(["first", "middle", "last"]);
  });

  test("and after those whose data it can use", async () => {
    expect(levels(await load({ user: { likes: "x" }, other: {}, maker: { writes: "x" } }))).toEqual([
      "other maker",
      "user",
    ]);
  });

  test("data a producer writes itself is no reason to wait", async () => {
    expect(levels(await load({ a: { writes: "x", needs: "x", likes: "x" } }))).toEqual(["a"]);
  });

  test("of several writers all come first", async () => {
    expect(levels(await load({ r: { needs: "x" }, a: { writes: "x" }, b: { writes: "x" } }))).toEqual(["a b", "r"]);
  });
});

describe("circles", () => {
  test("a circle of required data is an error at the producer that closes it", async () => {
    const outcome = await load({
      a: { needs: "x", writes: "y" },
      b: { needs: "y", writes: "z" },
      c: { needs: "z", writes: "x" },
    });
    expect(places(outcome)).toEqual(["4:9 DATA_CYCLE"]);
    expect(outcome.problems[0]?.message).toContain("c -> b -> a -> c");
  });

  test("a circle that optional data closes is broken there, with a warning", async () => {
    const outcome = await load({ a: { likes: "y", writes: "x" }, b: { needs: "x", writes: "y" } });
    expect(places(outcome)).toEqual(["2:9 DATA_CYCLE_BROKEN"]);
    expect(outcome.problems[0]?.message).toContain("runs first, without order-request-y/someone");
    expect(levels(outcome)).toEqual(["a", "b"]);
  });

  test("in a circle of optional data the producer listed first waits", async () => {
    const outcome = await load({ a: { likes: "y", writes: "x" }, b: { likes: "x", writes: "y" } });
    expect(places(outcome)).toEqual(["3:9 DATA_CYCLE_BROKEN"]);
    expect(levels(outcome)).toEqual(["b", "a"]);
  });
});

describe("steps of a request", () => {
  test("data of the request that is written after its reader acts is an error", async () => {
    const outcome = await load({
      late: { writes: "x", roles: ["preRequest"] },
      early: { needs: "x", roles: ["screener"] },
    });
    expect(places(outcome)).toEqual(["3:9 DATA_TOO_LATE"]);
    expect(outcome.problems[0]?.message).toBe(
      'plugins[1] "early" needs order-request-x/someone, which "late" writes in a later step of a request.',
    );
  });

  test.each<[string, Producer, Producer]>([
    ["in the same step", { roles: ["dataProducer"] }, { roles: ["dataProducer"] }],
    ["in an earlier step", { roles: ["requestHeaderProcessor"] }, { roles: ["admitter"] }],
    ["before the last step of its reader", { roles: ["dataProducer"] }, { roles: ["screener", "preRequest"] }],
    ["also in an earlier step", { roles: ["dataProducer", "responseBodyProcessor"] }, { roles: ["admitter"] }],
    [
      "on endpoints, where it stays",
      { roles: ["preRequest"], scope: "endpoint" },
      { roles: ["screener"], scope: "endpoint" },
    ],
    ["outside of requests", { roles: ["preRequest"] }, { roles: ["endpointListener"] }],
  ])("data written %s is fine", async (_, writer, reader) => {
    expect(places(await load({ w: { ...writer, writes: "x" }, r: { ...reader, needs: "x" } }))).toEqual([]);
  });
});
