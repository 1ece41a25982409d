import {
  type Endpoint,
  type EndpointEvent,
  type EndpointMetadata,
  type Logger,
  silentLogger,
  WAITING_QUEUE_SIZE,
  writeAttribute,
} from "@pointsman/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Datastore } from "./index.ts";

const pool = { name: "pool", namespace: "inference", appProtocol: undefined };

function metadata(name: string, fields: Partial<EndpointMetadata> = {}): EndpointMetadata {
  return {
    id: `default/${name}`,
    namespace: "default",
    name,
    address: "10.0.0.1",
    port: 8000,
    metricsHost: "10.0.0.1:8000",
    labels: {},
    rankIndex: 0,
    ...fields,
  };
}

function newStore(logger: Logger = silentLogger): Datastore {
  return new Datastore({ pool, logger });
}

function recordEvents(store: Datastore): EndpointEvent[] {
  const events: EndpointEvent[] = [];
  store.subscribe({ endpointChanged: (event) => events.push(event) });
  return events;
}

test("endpoints keep their order of arrival, also when their metadata changes", () => {
  const store = newStore();
  for (const name of ["c", "a", "b"]) store.upsert(metadata(name));
  store.upsert(metadata("a", { port: 9000 }));
  expect(store.snapshot().map((endpoint) => endpoint.metadata.name)).toEqual(["c", "a", "b"]);
  store.remove("default/c");
  store.upsert(metadata("c"));
  expect(store.snapshot().map((endpoint) => endpoint.metadata.name)).toEqual(["a", "b", "c"]);
});

test("a snapshot is the same array until something changes, and a new one afterwards", () => {
  const store = newStore();
  store.upsert(metadata("a"));
  const before = store.snapshot();
  expect(store.snapshot()).toBe(before);
  store.upsert(metadata("a"));
  store.remove("default/unknown");
  expect(store.snapshot()).toBe(before);
  store.upsert(metadata("a", { port: 9000 }));
  expect(store.snapshot()).not.toBe(before);
});

test("an update keeps the object, its slot and its attributes and changes the address that the proxy is told", () => {
  const store = newStore();
  store.upsert(metadata("a"));
  const endpoint = store.get("default/a")!;
  writeAttribute(endpoint, WAITING_QUEUE_SIZE, 7, 1);
  store.upsert(metadata("a", { address: "fd00::1", port: 9000 }));
  expect(store.get("default/a")).toBe(endpoint);
  expect(endpoint.hostPort).toBe("[fd00::1]:9000");
  expect(endpoint.values[WAITING_QUEUE_SIZE.index]).toBe(7);
  expect(endpoint.slot).toBe(0);
});

test("an equal upsert tells nobody, whatever the order of the labels", () => {
  const store = newStore();
  store.upsert(metadata("a", { labels: { x: "1", y: "2" } }));
  const events = recordEvents(store);
  store.upsert(metadata("a", { labels: { y: "2", x: "1" } }));
  expect(events).toHaveLength(1);
});

test.each<[string, Partial<EndpointMetadata>]>([
  ["address", { address: "10.0.0.2" }],
  ["port", { port: 8001 }],
  ["metrics host", { metricsHost: "10.0.0.1:9400" }],
  ["node address", { nodeAddress: "192.168.0.1" }],
  ["rank", { rankIndex: 1 }],
  ["a label's value", { labels: { x: "2" } }],
  ["a further label", { labels: { x: "1", y: "1" } }],
  ["another label's name", { labels: { z: "1" } }],
  ["no label", { labels: {} }],
])("a change of %s is an update", (_what, change) => {
  const store = newStore();
  store.upsert(metadata("a", { labels: { x: "1" } }));
  const events = recordEvents(store);
  store.upsert(metadata("a", { labels: { x: "1" }, ...change }));
  expect(events).toHaveLength(2);
});

test("a label that only the prototype has does not count as equal", () => {
  const store = newStore();
  store.upsert(metadata("a", { labels: { toString: "1" } }));
  const events = recordEvents(store);
  store.upsert(metadata("a", { labels: { valueOf: "1" } }));
  expect(events).toHaveLength(2);
});

test("a listener hears of known endpoints first, then of adds, updates and deletes with the same object", () => {
  const store = newStore();
  store.upsert(metadata("a"));
  const events = recordEvents(store);
  store.upsert(metadata("b"));
  store.upsert(metadata("a", { port: 9000 }));
  store.remove("default/a");
  expect(events.map(({ type, endpoint }) => `${type} ${endpoint.id}`)).toEqual([
    "addOrUpdate default/a",
    "addOrUpdate default/b",
    "addOrUpdate default/a",
    "delete default/a",
  ]);
  expect(new Set([events[0]!.endpoint, events[2]!.endpoint, events[3]!.endpoint]).size).toBe(1);
});

test("during an event the snapshot holds added endpoints and no deleted ones", () => {
  const store = newStore();
  const seen: string[] = [];
  store.subscribe({
    endpointChanged: ({ type, endpoint }) => seen.push(`${type} ${store.snapshot().includes(endpoint)}`),
  });
  store.upsert(metadata("a"));
  store.remove("default/a");
  expect(seen).toEqual(["addOrUpdate true", "delete false"]);
});

test("a listener that throws is logged and the others hear the event", () => {
  const lines: [object, string][] = [];
  const logger: Logger = { ...silentLogger, error: (fields, message) => lines.push([fields, message]) };
  const store = newStore(logger);
  store.subscribe(
    {
      endpointChanged: () => {
        throw new Error("no room");
      },
    },
    "topology-extractor",
  );
  const events = recordEvents(store);
  store.upsert(metadata("a"));
  expect(events).toHaveLength(1);
  expect(lines).toEqual([
    [
      { listener: "topology-extractor", event: "addOrUpdate", endpoint: "default/a", error: "no room" },
      "a listener failed on an endpoint event; other listeners are not affected",
    ],
  ]);
});

test("events that a listener causes come after the one it is handling, for every listener", () => {
  const store = newStore();
  store.subscribe({
    endpointChanged: ({ type, endpoint }) => {
      if (type === "addOrUpdate" && endpoint.metadata.name === "a") store.remove("default/a");
    },
  });
  const events = recordEvents(store);
  store.upsert(metadata("a"));
  expect(events.map(({ type }) => type)).toEqual(["addOrUpdate", "delete"]);
});

test("an unsubscribed listener hears nothing more, even of events that are under way", () => {
  const store = newStore();
  const heard: string[] = [];
  let unsubscribe = (): void => {};
  store.subscribe({ endpointChanged: () => unsubscribe() });
  unsubscribe = store.subscribe({ endpointChanged: ({ endpoint }) => heard.push(endpoint.id) });
  store.upsert(metadata("a"));
  store.upsert(metadata("b"));
  expect(heard).toEqual([]);
});

test("a freed slot goes to the next endpoint that arrives", () => {
  const store = newStore();
  for (const name of ["a", "b", "c"]) store.upsert(metadata(name));
  store.remove("default/b");
  store.upsert(metadata("d"));
  store.upsert(metadata("e"));
  expect(store.snapshot().map(({ metadata: { name }, slot }) => [name, slot])).toEqual([
    ["a", 0],
    ["c", 2],
    ["d", 1],
    ["e", 3],
  ]);
});

test("clear removes every endpoint with an event each and leaves the store unsynced", () => {
  const store = new Datastore({ pool, synced: true, logger: silentLogger });
  for (const name of ["a", "b"]) store.upsert(metadata(name));
  const events = recordEvents(store);
  store.clear();
  expect(store.snapshot()).toEqual([]);
  expect(store.synced).toBe(false);
  expect(events.slice(2).map(({ type, endpoint }) => `${type} ${endpoint.id}`)).toEqual([
    "delete default/a",
    "delete default/b",
  ]);
});

test("whatever comes and goes: slots are unique and dense enough, snapshots never change, the model agrees", () => {
  const name = fc.constantFrom("a", "b", "c", "d", "e", "f", "g");
  const operation = fc.oneof(
    fc.record({ do: fc.constant("upsert" as const), name, port: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant("remove" as const), name }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const store = newStore();
      const model = new Map<string, number>();
      const taken: { readonly array: readonly Endpoint[]; readonly copy: readonly Endpoint[] }[] = [];
      const fromEvents = new Map<string, Endpoint>();
      store.subscribe({
        endpointChanged: ({ type, endpoint }) => {
          if (type === "delete") fromEvents.delete(endpoint.id);
          else fromEvents.set(endpoint.id, endpoint);
        },
      });
      let mostAtOnce = 0;
      for (const step of operations) {
        if (step.do === "upsert") {
          store.upsert(metadata(step.name, { port: step.port }));
          model.set(`default/${step.name}`, step.port);
        } else {
          store.remove(`default/${step.name}`);
          model.delete(`default/${step.name}`);
        }
        mostAtOnce = Math.max(mostAtOnce, model.size);
        const snapshot = store.snapshot();
        taken.push({ array: snapshot, copy: [...snapshot] });
        const slots = snapshot.map(({ slot }) => slot);
        expect(new Set(slots).size).toBe(slots.length);
        expect(Math.max(-1, ...slots)).toBeLessThan(mostAtOnce);
        expect(snapshot.map(({ id, metadata: { port } }) => [id, port])).toEqual([...model]);
        expect(new Set(fromEvents.values())).toEqual(new Set(snapshot));
      }
      for (const { array, copy } of taken) {
        expect(array.length).toBe(copy.length);
        expect(array.every((endpoint, index) => endpoint === copy[index])).toBe(true);
      }
    }),
  );
});
