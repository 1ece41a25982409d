import fc from "fast-check";
import { expect, test } from "vitest";
import { Headers, headerText } from "./headers.ts";

test("names are kept in lower case, repeats in their order", () => {
  const headers = Headers.from([
    ["Cookie", "a=1"],
    ["X-Request-ID", "7"],
    ["cookie", "b=2"],
  ]);
  expect(headers.names).toEqual(["cookie", "x-request-id", "cookie"]);
  expect(headers.values).toEqual(["a=1", "7", "b=2"]);
  expect(headers.size).toBe(3);
});

test("look-up gives the last value of a name, or nothing", () => {
  const name = fc.constantFrom("a", "B", "c-d", "C-D");
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, fc.string({ maxLength: 3 }))),
      fc.constantFrom("a", "b", "c-d"),
      (pairs, key) => {
        const headers = Headers.from(pairs);
        const last = pairs.findLast(([given]) => given.toLowerCase() === key);
        expect(headers.get(key)).toBe(last?.[1]);
        expect(headers.has(key)).toBe(last !== undefined);
      },
    ),
  );
});

test.each([
  { name: "the current name", pairs: [["x-new", "1"]], value: "1" },
  { name: "the deprecated name when the current one is absent", pairs: [["x-old", "2"]], value: "2" },
  {
    name: "the current name over the deprecated one",
    pairs: [
      ["x-new", "1"],
      ["x-old", "2"],
    ],
    value: "1",
  },
  {
    name: "an empty current value over the deprecated one",
    pairs: [
      ["x-old", "2"],
      ["x-new", ""],
    ],
    value: "",
  },
  { name: "nothing when neither is present", pairs: [], value: undefined },
] as const)("an aliased header reads $name", ({ pairs, value }) => {
  expect(Headers.from(pairs).getAliased(["x-new", "x-old"])).toBe(value);
});

test.each([
  { value: "", text: "" },
  { value: "plain", text: "plain" },
  { value: "z\u00c3\u00bcrich", text: "z\u00fcrich" },
  { value: "z\u00fcrich", text: "z\u00fcrich" },
])("a header's bytes are read as UTF-8 where they are: $value", ({ value, text }) => {
  expect(headerText(value)).toBe(text);
});
