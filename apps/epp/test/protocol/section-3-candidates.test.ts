/** Spec ext-proc section 3: which endpoints a request may go to. */
import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { request, setTo, subset } from "./support/messages.ts";
import { onBothTransports } from "./support/picker.ts";

const refused = {
  kind: "immediateResponse",
  status: 503,
  body: "inference error: ServiceUnavailable - failed to find endpoint candidates for serving the request",
  set: [["x-llm-d-request-dropped-reason", "rejected-no-endpoints"]],
};
/** Queues make the last of those allowed the best one. */
const pods = [
  { queue: 8 },
  { queue: 6 },
  { queue: 4, address: "192.168.1.2", port: 8001 },
  { queue: 2, address: "2001:db8::1", port: 9000 },
];
const config = `
plugins:
  - {type: queue-scorer}
  - {type: openai-parser}
requestHandler: {parsers: [{pluginRef: openai-parser}]}
schedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer}]}]
`;
const all = "[2001:db8::1]:9000";

/** Hint, and where the request goes; nowhere when `undefined`. */
const hints: readonly (readonly [string, JsonObject[string], string | undefined])[] = [
  ["a list of all", ["192.168.1.1:8000", "192.168.1.2:8000", "192.168.1.2:8001", all], all],
  ["a list of one, despite its load", ["192.168.1.1:8000"], "192.168.1.1:8000"],
  ["a comma string", "192.168.1.1:8000, 192.168.1.2:8000", "192.168.1.2:8000"],
  ["the port counts", ["192.168.1.2:8001"], "192.168.1.2:8001"],
  ["another port of a known address", ["192.168.1.2:9999"], undefined],
  ["an address alone allows its ports", ["192.168.1.2"], "192.168.1.2:8001"],
  ["IPv6 in brackets", ["[2001:db8::1]:9000"], all],
  ["IPv6 in brackets on another port", ["[2001:db8::1]:8000"], undefined],
  ["IPv6 alone", ["2001:db8::1"], all],
  ["IPv6 without brackets, with its port", ["2001:db8::1:9000"], all],
  ["an empty list", [], undefined],
  ["an empty string", "", undefined],
  ["a stranger", ["192.168.1.99:8000"], undefined],
  ["entries that are no text, among others", [7, null, "192.168.1.1:8000", { a: 1 }], "192.168.1.1:8000"],
  ["entries that are no text, all of them", [7, true], undefined],
  ["one entry that is no text", [7], undefined],
  ["a number, which is no hint", 7, all],
  ["an object, which is no hint", { "192.168.1.1:8000": true }, all],
  ["null, which is no hint", null, all],
];

onBothTransports("3 candidate endpoints", (start, shared) => {
  const picker = shared({ pods, config });

  describe.each([
    ["in the headers message", "headers"],
    ["in the body message", "body"],
    ["of a request without a body", "bodyless"],
  ] as const)("3 a hint %s", (_name, where) => {
    // Without a body nothing is scored: any of those allowed may be chosen.
    const rows =
      where === "bodyless" ? hints.filter(([name]) => name !== "a list of all" && !name.includes("no hint")) : hints;
    test.each(rows)("3-1 %s: %j -> %s", async (name, hint, to) => {
      const metadata = subset(hint);
      const stream =
        where === "bodyless"
          ? picker().stream(request.headers({ ":path": "/v1/models" }, true, metadata))
          : where === "headers"
            ? picker().stream(request.headers({}, false, metadata), request.body('{"model":"m","prompt":"a"}'))
            : picker().request({ metadata });
      if (to === undefined) {
        expect(await stream.all()).toEqual([refused]);
        return;
      }
      const chosen = setTo((await stream.until(1))[0], "x-gateway-destination-endpoint")!;
      if (where === "bodyless" && name.includes("allows its ports")) expect(chosen).toMatch(/^192\.168\.1\.2:800[01]$/);
      else if (where === "bodyless" && name === "a comma string") expect(chosen).toMatch(/^192\.168\.1\.[12]:8000$/);
      else expect(chosen).toBe(to);
    });
  });

  test.each([
    ["no metadata", undefined],
    ["another namespace", { other: { "x-gateway-destination-endpoint-subset": ["192.168.1.1:8000"] } }],
    ["another key", { "envoy.lb.subset_hint": { other: ["192.168.1.1:8000"] } }],
    ["the namespace of the answer", { "envoy.lb": { "x-gateway-destination-endpoint-subset": ["192.168.1.1:8000"] } }],
  ] as readonly (readonly [string, Record<string, JsonObject> | undefined])[])(
    "3-2 %s: all endpoints",
    async (_name, metadata) => {
      const [reply] = await picker().request({ metadata }).until(1);
      expect(setTo(reply, "x-gateway-destination-endpoint")).toBe(all);
    },
  );

  test("3-3 a hint in the headers message outlives other metadata in the body message", async () => {
    const stream = picker().stream(
      request.headers({}, false, subset(["192.168.1.1:8000"])),
      request.body('{"model":"m","prompt":"a"}', true, { other: { key: "value" } }),
    );
    expect(setTo((await stream.until(1))[0], "x-gateway-destination-endpoint")).toBe("192.168.1.1:8000");
  });

  test("3-4 a header of the client is no hint", async () => {
    const [reply] = await picker()
      .request({ headers: { "x-gateway-destination-endpoint-subset": "192.168.1.1:8000" } })
      .until(1);
    expect(setTo(reply, "x-gateway-destination-endpoint")).toBe(all);
  });

  test("3-5 --disable-endpoint-subset-filter: always all", async () => {
    const ignoring = await start({ pods, config, flags: ["--disable-endpoint-subset-filter"] });
    for (const hint of [["192.168.1.1:8000"], []]) {
      const [reply] = await ignoring.request({ metadata: subset(hint) }).until(1);
      expect(setTo(reply, "x-gateway-destination-endpoint")).toBe(all);
    }
  });

  test("3-6 nothing is cached: a hint and its look-alike do not mix", async () => {
    expect(
      await picker()
        .request({ metadata: subset([7]) })
        .all(),
    ).toEqual([refused]);
    const [reply] = await picker().request().until(1);
    expect(setTo(reply, "x-gateway-destination-endpoint")).toBe(all);
    expect(
      await picker()
        .request({ metadata: subset([7]) })
        .all(),
    ).toEqual([refused]);
  });
});
