import fc from "fast-check";
import { expect, test } from "vitest";
import { type AttributeKey, defineAttribute, internAttribute } from "./attribute-key.ts";
import { customMetric, WAITING_QUEUE_SIZE } from "./metric-attributes.ts";
import { PREFIX_MATCH } from "./prefix-match.ts";
import { AGENT_IDENTITY, SESSION_ID } from "./request-attributes.ts";

// Keys live as long as the process, so each run of a property declares its own.
let densePrefix = 0;

const endpointAttribute = <T>(dataType: string, autoCreate = false) =>
  defineAttribute<T>({ dataType, scope: "endpoint", defaultProducer: "usual-producer", autoCreate });

test("one text form has one key in the process, whoever declares it", () => {
  const first = endpointAttribute<number>("Interned").from("a");
  expect(endpointAttribute<number>("Interned").from("a")).toBe(first);
  expect(first).toMatchObject({ id: "Interned/a", dataType: "Interned", producer: "a", scope: "endpoint" });
  expect(endpointAttribute<number>("Interned").from("b")).not.toBe(first);
});

test("no producer, or an empty one, means the default producer", () => {
  const type = endpointAttribute<number>("Defaulted");
  expect(type.dataType).toBe("Defaulted");
  expect(type.from()).toBe(type.from("usual-producer"));
  expect(type.from("")).toBe(type.from());
});

test("a second scope for one text form is refused", () => {
  endpointAttribute("TwoScopes").from();
  const asRequest = defineAttribute({ dataType: "TwoScopes", scope: "request", defaultProducer: "usual-producer" });
  expect(() => asRequest.from()).toThrow("attribute TwoScopes/usual-producer is declared with two scopes");
  expect(asRequest.from("other-producer").scope).toBe("request");
});

test("only the default key of an auto-created attribute names a producer type", () => {
  expect(endpointAttribute("Auto", true).from().defaultProducerType).toBe("usual-producer");
  expect(endpointAttribute("Auto", true).from("mine").defaultProducerType).toBeUndefined();
  expect(endpointAttribute("Manual").from().defaultProducerType).toBeUndefined();
});

test("each new key takes the next index, and known ones keep theirs", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 3 }), { minLength: 1, maxLength: 20 }), (names) => {
      const seen = new Map<string, number>();
      const type = endpointAttribute(`Dense${densePrefix++}`);
      for (const name of names.map((text) => `producer-${text}`)) {
        const { index } = type.from(name);
        expect(index).toBe(seen.get(name) ?? (seen.size === 0 ? index : Math.max(...seen.values()) + 1));
        seen.set(name, index);
      }
    }),
  );
});

test("a key of another copy becomes this copy's key of the same text form", () => {
  const foreign: AttributeKey<number> = { ...WAITING_QUEUE_SIZE, index: 4711 };
  expect(internAttribute(foreign)).toBe(WAITING_QUEUE_SIZE);
  const unknown: AttributeKey<number> = {
    id: "Foreign/its-producer",
    dataType: "Foreign",
    producer: "its-producer",
    scope: "request",
    index: 4712,
    defaultProducerType: undefined,
  };
  const own = internAttribute(unknown);
  expect(own).toMatchObject({ id: "Foreign/its-producer", scope: "request", producer: "its-producer" });
  expect(own.index).not.toBe(4712);
  expect(internAttribute(unknown)).toBe(own);
});

test("the declared attributes have the text forms that configurations use", () => {
  expect(WAITING_QUEUE_SIZE.id).toBe("WaitingQueueSize/core-metrics-extractor");
  expect(PREFIX_MATCH.from().id).toBe("PrefixCacheMatchInfoDataKey/approx-prefix-cache-producer");
  expect(AGENT_IDENTITY.id).toBe("agent-identity/");
  expect(SESSION_ID.from("mine").id).toBe("SessionIDDataKey/mine");
  expect(customMetric("GpuTemperature").id).toBe("GpuTemperature/core-metrics-extractor");
  expect(customMetric("GpuTemperature", "dcgm").id).toBe("GpuTemperature/dcgm");
});
