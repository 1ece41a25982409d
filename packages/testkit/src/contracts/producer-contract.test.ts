import {
  type AttributeKey,
  type AttributeType,
  defineAttribute,
  definePlugin,
  type Endpoint,
  type InferenceRequest,
  type PluginHost,
  type PluginInstance,
  PREFIX_MATCH,
  RUNNING_REQUESTS_SIZE,
  slotTableLength,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { producerChecks } from "./producer-contract.ts";
import { endpointSignal } from "./situation.ts";

// The contract holds for a sound producer, and each of its promises is broken by a producer made to break it.

const OWN: AttributeType<unknown> = defineAttribute({
  dataType: "ProducerContractTest",
  scope: "request",
  defaultProducer: "test-producer",
});
const OWN_LOAD: AttributeType<number> = defineAttribute({
  dataType: "ProducerContractLoad",
  scope: "endpoint",
  defaultProducer: "test-producer",
});

interface Access {
  readonly host: PluginHost;
  readonly queue: (endpoint: Endpoint) => number | undefined;
  readonly write: (request: InferenceRequest, value: unknown) => void;
  readonly match: (request: InferenceRequest, endpoints: readonly Endpoint[], length?: number) => void;
  readonly load: (endpoint: Endpoint, value: number) => void;
}

const producer = (create: (access: Access) => PluginInstance) =>
  definePlugin({
    type: "test-producer",
    kind: "producer",
    stability: "alpha",
    summary: "Produces in a test.",
    consumes: () => ({ required: [WAITING_QUEUE_SIZE] }),
    produces: (_params, name) => [OWN.from(name), OWN_LOAD.from(name), PREFIX_MATCH.from(name)],
    create: (_params, host) => {
      const queues = host.endpointReader(WAITING_QUEUE_SIZE);
      const writer = host.requestWriter(OWN.from(host.name));
      const matches = host.requestWriter(PREFIX_MATCH.from(host.name));
      const loads = host.endpointWriter(OWN_LOAD.from(host.name));
      return create({
        host,
        queue: (endpoint) => queues.get(endpoint),
        write: (request, value) => writer.set(request, value),
        match: (request, endpoints, length = slotTableLength(endpoints)) => {
          const table = new Int32Array(length);
          matches.set(request, { totalBlocks: 1, blockSizeTokens: 1, matchedBlocks: table, cachedBlocks: table });
        },
        load: (endpoint, value) => loads.set(endpoint, value, 0),
      });
    },
  });

const sound = producer(({ host, queue, write, match, load }) => {
  const known = new Map<string, number>();
  return {
    produceTimeoutMs: 50,
    produce(request, endpoints) {
      match(request, endpoints);
      for (const endpoint of endpoints) load(endpoint, known.size);
      return new Promise((resolve) => {
        host.timers.after(20, () => {
          write(request, { random: host.random(), queues: endpoints.map(queue) });
          resolve();
        });
      });
    },
    endpointChanged({ type, endpoint }) {
      if (type === "delete") known.delete(endpoint.id);
      else known.set(endpoint.id, 1);
    },
    dumpState: () => ({ known: [...known.keys()] }),
  };
});

async function broken(definition: ReturnType<typeof producer>): Promise<readonly string[]> {
  const names: string[] = [];
  for (const { name, run } of producerChecks(definition, {
    signals: [endpointSignal(WAITING_QUEUE_SIZE, fc.nat(9))],
    request: () => fc.record({ id: fc.constantFrom("a", "b") }),
  })) {
    try {
      await run();
    } catch {
      names.push(name);
    }
  }
  return names;
}

test("holds for a sound producer", async () => {
  expect(await broken(sound)).toEqual([]);
});

const shared = { requests: 0 };
const foreignKey: AttributeKey<number> = RUNNING_REQUESTS_SIZE;

test.each<[string, (access: Access) => PluginInstance, string]>([
  [
    "throwing for unknown data",
    ({ queue }) => ({
      produce: (_request, endpoints) => {
        for (const endpoint of endpoints) if (queue(endpoint) === undefined) throw new Error("unknown");
      },
    }),
    "neither throws nor rejects, whatever is known",
  ],
  [
    "rejecting",
    () => ({ produce: (request) => (request.id === "a" ? Promise.reject(new Error("no")) : undefined) }),
    "neither throws nor rejects, whatever is known",
  ],
  [
    "failing on an empty list",
    () => ({
      produce: (_request, endpoints) => {
        if (endpoints.length === 0) throw new Error("empty");
      },
    }),
    "takes an empty list and a request of which nothing is known",
  ],
  [
    "sorting the list in place",
    () => ({ produce: (_request, endpoints) => void (endpoints as Endpoint[]).sort((a, b) => b.slot - a.slot) }),
    "changes neither the list nor the endpoints beyond what it produces",
  ],
  [
    "writing another plugin's attribute",
    () => ({
      produce: (_request, endpoints) => {
        for (const endpoint of endpoints) {
          while (endpoint.values.length <= foreignKey.index) endpoint.values.push(undefined);
          endpoint.values[foreignKey.index] = 1;
        }
      },
    }),
    "changes neither the list nor the endpoints beyond what it produces",
  ],
  [
    "setting a header before the decision",
    () => ({ produce: (request) => void request.upstreamHeaders.set("x-early", "1") }),
    "changes nothing of the request but attributes",
  ],
  [
    "changing the priority",
    () => ({
      produce: (request) => {
        request.priority = 7;
      },
    }),
    "changes nothing of the request but attributes",
  ],
  [
    "chance from elsewhere",
    ({ write }) => ({ produce: (request) => write(request, Math.random()) }),
    "the same seed gives the same data",
  ],
  [
    "a table that ends before a candidate's slot",
    ({ match }) => ({ produce: (request, endpoints) => match(request, endpoints, slotTableLength(endpoints) - 1) }),
    "a table by slot covers every candidate",
  ],
  [
    "one object used for all requests",
    ({ write }) => ({
      produce: (request) => {
        shared.requests++;
        write(request, shared);
      },
    }),
    "what one request got stays when the next comes",
  ],
  [
    "remembering endpoints that are gone",
    () => {
      const known = new Map<string, number>();
      return {
        produce: (_request, endpoints) => {
          for (const { id } of endpoints) known.set(id, 1);
        },
        dumpState: () => ({ known: [...known.keys()] }),
      };
    },
    "endpoints that come and go leave nothing behind",
  ],
  [
    "a timer for each request that never stops",
    ({ host }) => ({ produce: () => void host.timers.every(300_000, () => {}) }),
    "endpoints that come and go leave nothing behind",
  ],
])("fails for %s", async (_what, create, promise) => {
  expect(await broken(producer(create))).toContain(promise);
});
