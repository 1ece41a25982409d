import {
  type Admitter,
  type AnyPluginDefinition,
  type DisaggregationDecider,
  definePlugin,
  type Endpoint,
  type PluginHost,
  RequestError,
  type Screener,
} from "@pointsman/core";
import { describe, expect, test } from "vitest";
import { admitterChecks } from "./admitter-contract.ts";
import type { ContractCheck } from "./contract-check.ts";
import { deciderChecks } from "./decider-contract.ts";
import { screenerChecks } from "./screener-contract.ts";

// Each contract holds for a sound plugin, and each of its promises is broken by a plugin made to break it.

async function broken(checks: readonly ContractCheck[]): Promise<readonly string[]> {
  const names: string[] = [];
  for (const { name, run } of checks) {
    try {
      await run();
    } catch {
      names.push(name);
    }
  }
  return names;
}

const relabelled = (endpoint: Endpoint): void => {
  endpoint.update({ ...endpoint.metadata, labels: { touched: "yes" } });
};

describe("decider contract", () => {
  const decider = (create: (host: PluginHost) => DisaggregationDecider): AnyPluginDefinition =>
    definePlugin({
      type: "test-decider",
      kind: "decider",
      stability: "alpha",
      summary: "Decides in a test.",
      create: (_params, host) => create(host),
    });

  test("holds for a decider that looks at the endpoint", async () => {
    const sound = decider(() => ({ disaggregate: (_request, target) => (target?.slot ?? 0) % 2 === 1 }));
    expect(await broken(deciderChecks(sound))).toEqual([]);
  });

  test.each([
    [
      "throws without an endpoint",
      decider(() => ({ disaggregate: (_request, target) => target!.slot >= 0 })),
      ["answers yes or no for every endpoint, and before one is chosen"],
    ],
    [
      "remembers the request before",
      decider(() => {
        let calls = 0;
        return { disaggregate: () => calls++ > 0 };
      }),
      ["answers for this request, not for one before"],
    ],
    [
      "sets a header",
      decider(() => ({ disaggregate: (request) => request.upstreamHeaders.set("x", "y").size > 0 })),
      ["changes neither the endpoint nor the headers"],
    ],
  ])("is broken by one that %s", async (_name, definition, expected) => {
    expect(await broken(deciderChecks(definition))).toEqual(expected);
  });
});

describe("admitter contract", () => {
  const admitter = (admitRequest: Admitter["admitRequest"]): AnyPluginDefinition =>
    definePlugin({
      type: "test-admitter",
      kind: "admitter",
      stability: "alpha",
      summary: "Admits in a test.",
      create: () => ({ admitRequest }),
    });
  const denied = new RequestError("ResourceExhausted", "full");
  let calls = 0;

  test("holds for an admitter that counts endpoints", async () => {
    const sound = admitter((_request, endpoints) => (endpoints.length > 3 ? denied : undefined));
    expect(await broken(admitterChecks(sound))).toEqual([]);
  });

  test.each([
    [
      "gives no reason",
      admitter((_request, endpoints) => (endpoints.length > 1 ? new RequestError("Forbidden", "") : undefined)),
      ["admits, or refuses with an error that tells the client why"],
    ],
    ["refuses without endpoints", admitter(() => denied), ["admits when there is no endpoint to judge by"]],
    [
      "alternates",
      admitter((_request, endpoints) => (endpoints.length > 0 && calls++ % 2 === 0 ? denied : undefined)),
      ["the same seed leads to the same answer", "the answer does not depend on the order of the endpoints"],
    ],
    [
      "looks at the first endpoint only",
      admitter((_request, endpoints) => ((endpoints[0]?.slot ?? 0) % 2 === 1 ? denied : undefined)),
      ["the answer does not depend on the order of the endpoints"],
    ],
    [
      "changes endpoints",
      admitter((_request, endpoints) => {
        for (const endpoint of endpoints) relabelled(endpoint);
        return undefined;
      }),
      ["changes neither the list nor the endpoints"],
    ],
  ])("is broken by one that %s", async (_name, definition, expected) => {
    expect(await broken(admitterChecks(definition))).toEqual(expected);
  });
});

describe("screener contract", () => {
  const screener = (screen: Screener["screen"]): AnyPluginDefinition =>
    definePlugin({
      type: "test-screener",
      kind: "screener",
      stability: "alpha",
      summary: "Screens in a test.",
      create: () => ({ screen }),
    });

  test("holds for a screener that keeps even slots, in any order", async () => {
    const sound = screener((_request, endpoints) => endpoints.filter(({ slot }) => slot % 2 === 0).toReversed());
    expect(await broken(screenerChecks(sound))).toEqual([]);
  });

  test("tells a new instance what it has to know", async () => {
    const prepared: unknown[] = [];
    const sound = screener((_request, endpoints) => endpoints);
    await broken(screenerChecks(sound, { prepare: (instance) => prepared.push(instance) }));
    expect(prepared.length).toBeGreaterThan(0);
  });

  test.each([
    [
      "lists an endpoint twice",
      screener((_request, endpoints) => [...endpoints, ...endpoints]),
      ["keeps a part of the endpoints, each once, and adds none"],
    ],
    [
      "keeps the first endpoint only",
      screener((_request, endpoints) => endpoints.slice(0, 1)),
      ["the same seed keeps the same endpoints, in whatever order they come"],
    ],
    [
      "changes endpoints",
      screener((_request, endpoints) => {
        for (const endpoint of endpoints) relabelled(endpoint);
        return endpoints;
      }),
      ["changes neither the list nor the endpoints"],
    ],
  ])("is broken by one that %s", async (_name, definition, expected) => {
    expect(await broken(screenerChecks(definition))).toEqual(expected);
  });
});
