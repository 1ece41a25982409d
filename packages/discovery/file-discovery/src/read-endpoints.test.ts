import fc from "fast-check";
import { expect, test } from "vitest";
import type { EndpointsFile, FileNote, ListedEndpoint } from "./endpoints-file.ts";
import { readEndpoints } from "./read-endpoints.ts";

const told = ({ line, column, text }: FileNote): string => `${line}:${column} ${text}`;
const problemsOf = (text: string): readonly string[] => readEndpoints(text).problems.map(told);
const warningsOf = (text: string): readonly string[] => readEndpoints(text).warnings.map(told);

function endpointsOf(file: EndpointsFile): readonly (ListedEndpoint | undefined)[] {
  expect(file.problems).toEqual([]);
  return file.items?.map(({ endpoint }) => endpoint) ?? [];
}

/** A file with one item whose fields are `lines`. */
const item = (...lines: readonly string[]): string => `endpoints:\n- ${lines.join("\n  ")}\n`;

test("a file says all it can about each endpoint", () => {
  const text = `
endpoints:
- name: vllm-0
  namespace: inference
  address: "10.0.0.1"
  port: "8000"
  labels: {llm-d.ai/role: decode, "8": "x"}
- name: vllm-1
  address: fd00::1
  port: 8001
  metricsAddress: exporter.example
  metricsPort: 9100
`;
  expect(endpointsOf(readEndpoints(text))).toEqual([
    {
      name: "vllm-0",
      namespace: "inference",
      address: "10.0.0.1",
      port: 8000,
      metricsAddress: "10.0.0.1",
      metricsPort: 8000,
      labels: { "llm-d.ai/role": "decode", "8": "x" },
    },
    {
      name: "vllm-1",
      namespace: "default",
      address: "fd00::1",
      port: 8001,
      metricsAddress: "exporter.example",
      metricsPort: 9100,
      labels: {},
    },
  ]);
  expect(warningsOf(text)).toEqual([]);
});

test("JSON says the same, and so does a file with a byte order mark or Windows line ends", () => {
  const json = JSON.stringify({ endpoints: [{ name: "a", address: "::1", port: 1, labels: { x: "" } }] }, null, 2);
  const yaml = item("name: a", "address: ::1", "port: 1", "labels:", "  x:");
  const expected = endpointsOf(readEndpoints(yaml));
  expect(endpointsOf(readEndpoints(json))).toEqual(expected);
  expect(endpointsOf(readEndpoints(`\ufeff${yaml}`))).toEqual(expected);
  expect(endpointsOf(readEndpoints(yaml.replaceAll("\n", "\r\n")))).toEqual(expected);
});

test("an explicit empty list is valid", () => {
  expect(readEndpoints("endpoints: []")).toEqual({
    items: [],
    objectives: [],
    modelRewrites: [],
    problems: [],
    problemCount: 0,
    warnings: [],
  });
});

test.each([
  ["", '1:1 the file is empty; for no endpoints at all write "endpoints: []"'],
  ["\n# nothing\n---\n", '1:1 the file is empty; for no endpoints at all write "endpoints: []"'],
  ["null", '1:1 the file is empty; for no endpoints at all write "endpoints: []"'],
  ["endpoints:\n", '1:11 "endpoints" has no value; for no endpoints at all write "endpoints: []"'],
  ["endpoints: null\n", '1:12 "endpoints" has no value; for no endpoints at all write "endpoints: []"'],
  ["endpoints: {}\n", '1:12 "endpoints" must be a list'],
  ["endpoint: []\n", '1:1 the key "endpoints" is missing; for no endpoints at all write "endpoints: []"'],
  ["- name: a\n", '1:1 the file must hold a map with the key "endpoints"'],
  ["endpoints: []\n---\nendpoints: []\n", "3:1 the file holds more than one document; one is expected"],
])("the file %j cannot be used", (text, problem) => {
  expect(problemsOf(text)).toEqual([problem]);
  expect(readEndpoints(text).items).toBeUndefined();
});

test("a syntax error has its place, and the file cannot be used", () => {
  const text = 'endpoints:\n- name: "a\n  address: 10.0.0.1\n';
  expect(readEndpoints(text).items).toBeUndefined();
  expect(problemsOf(text)[0]).toMatch(/^\d+:\d+ this is not valid YAML: Missing closing "quote/);
  expect(problemsOf("endpoints: [\n")[0]).toMatch(/^\d+:\d+ this is not valid YAML: /);
  expect(problemsOf("endpoints: *unknown\n")).toEqual(['1:12 no anchor "unknown" stands before this alias']);
});

test.each<[string, readonly string[]]>([
  [item("namespace: b"), ["2:3 name is missing", "2:3 address is missing", "2:3 port is missing"]],
  [item("name: a", "address:", "port:"), ["3:3 address is missing", "4:3 port is missing"]],
  [item("name: 17", "address: ::1", "port: 1"), ['2:9 name is not text; put it in quotes: "17"']],
  [item("name: [a]", "address: ::1", "port: 1"), ["2:9 name is not text; use text"]],
  [item("name: a/b", "address: ::1", "port: 1"), ['2:9 name is "a/b"; use 1 to 253 characters without blanks and "/"']],
  [
    item('name: "a b"', "namespace: c d", "address: ::1", "port: 1"),
    [
      '2:9 name is "a b"; use 1 to 253 characters without blanks and "/"',
      '3:14 namespace is "c d"; use 1 to 253 characters without blanks and "/"',
    ],
  ],
  [
    item("name: a", "address: 10.0.0", "port: 1"),
    ['3:12 address is "10.0.0", which is neither an IP address nor a host name'],
  ],
  [item("name: a", "address: 10", "port: 1"), ['3:12 address is not text; put it in quotes: "10"']],
  [item("name: a", "address: ::1", "port: 0"), ['4:9 port is "0"; use a number from 1 to 65535']],
  [item("name: a", "address: ::1", 'port: "65536"'), ['4:9 port is "65536"; use a number from 1 to 65535']],
  [item("name: a", "address: ::1", "port: 80.5"), ['4:9 port is "80.5"; use a number from 1 to 65535']],
  [item("name: a", "address: ::1", "port: http"), ['4:9 port is "http"; use a number from 1 to 65535']],
  [item("name: a", "address: ::1", "port: [80]"), ["4:9 port is no number; use a number from 1 to 65535"]],
  [
    item("name: a", "address: ::1", "port: 1", "metricsPort: -1", "metricsAddress: a b"),
    [
      '5:16 metricsPort is "-1"; use a number from 1 to 65535',
      '6:19 metricsAddress is "a b", which is neither an IP address nor a host name',
    ],
  ],
  [
    item("name: a", "address: ::1", "port: 1", "labels: {gpus: 8, up: true, v: 1.10, l: [x]}"),
    [
      '5:18 label "gpus" is not text; put it in quotes: "8"',
      '5:25 label "up" is not text; put it in quotes: "true"',
      '5:34 label "v" is not text; put it in quotes: "1.10"',
      '5:43 label "l" is not text; use text',
    ],
  ],
  [item("name: a", "address: ::1", "port: 1", "labels: x"), ["5:11 labels must be a map of label names to values"]],
  [item("name: a", "name: b", "address: ::1", "port: 1"), ['3:3 the key "name" is given twice']],
  [item("? [x]\n  : y", "name: b", "address: ::1", "port: 1"), ["2:3 a key is not plain text"]],
  ["endpoints:\n- vllm-0\n", ["2:3 an endpoint must be a map with name, address and port"]],
  ["endpoints:\n-\n", ["2:2 an endpoint must be a map with name, address and port"]],
])("what is wrong with an item is told with its place: %j", (text, problems) => {
  expect(problemsOf(text)).toEqual(problems);
});

test("an item that is not valid leaves the others as they are, and still says which endpoint it is", () => {
  const text = `
endpoints:
- {name: a, address: 10.0.0.1, port: 1}
- {name: b, namespace: n, address: 10.0.0.1, port: 0}
- {address: 10.0.0.1, port: 1}
`;
  expect(readEndpoints(text).items).toMatchObject([
    { id: "default/a", endpoint: { name: "a" } },
    { id: "n/b", endpoint: undefined },
    { id: undefined, endpoint: undefined },
  ]);
});

test("keys that are not known and names given twice are warned of with their places", () => {
  const text = `version: 1
endpoints:
- name: a
  adress: 10.0.0.2
  address: 10.0.0.1
  port: 1
- {name: a, address: 10.0.0.2, port: 2}
`;
  expect(problemsOf(text)).toEqual([]);
  expect(warningsOf(text)).toEqual([
    '1:1 the key "version" is not known and has no effect; known: endpoints, objectives, modelRewrites',
    '4:3 the key "adress" is not known and has no effect; known: name, namespace, address, port, metricsAddress, metricsPort, labels',
    '7:3 "default/a" is listed in line 3 too; the last valid one counts',
  ]);
});

test("anchors, aliases and merge keys share what endpoints have in common", () => {
  const text = `
common: &common {port: 8000, labels: &labels {role: decode}}
more: &more {namespace: n, port: 9000}
endpoints:
- {<<: *common, name: a, address: 10.0.0.1}
- {name: b, address: 10.0.0.2, <<: [*more, *common], metricsPort: 1}
- {name: c, address: 10.0.0.3, port: 1, labels: *labels}
`;
  expect(endpointsOf(readEndpoints(text))).toMatchObject([
    { name: "a", port: 8000, labels: { role: "decode" } },
    { name: "b", namespace: "n", port: 9000, labels: { role: "decode" } },
    { name: "c", port: 1, labels: { role: "decode" } },
  ]);
});

test("merge keys that merge themselves, or nothing, are told of", () => {
  expect(problemsOf(item("&a name: a", "address: ::1", "port: 1", "<<: 5"))).toEqual([
    "5:7 a merge key needs a map or a list of maps",
  ]);
  const looped = "endpoints:\n- &a\n  name: a\n  address: ::1\n  port: 1\n  <<: *a\n";
  expect(problemsOf(looped)).toEqual(["3:3 merge keys are nested more than 8 levels deep"]);
});

test("labels named like parts of JavaScript objects are labels", () => {
  const text = item("name: a", "address: ::1", "port: 1", "labels: {__proto__: x, constructor: y}");
  const labels = endpointsOf(readEndpoints(text))[0]!.labels;
  expect(Object.entries(labels)).toEqual([
    ["__proto__", "x"],
    ["constructor", "y"],
  ]);
  expect(Object.getPrototypeOf(labels)).toBe(Object.prototype);
});

test("a billion laughs are not laughed", () => {
  const levels = Array.from({ length: 30 }, (_, i) => `a${i}: &a${i} [${`*a${i - 1},`.repeat(i === 0 ? 0 : 9)}]`);
  expect(problemsOf(`${levels.join("\n")}\nendpoints: *a29\n`)).toEqual(
    Array.from({ length: 9 }, () => expect.stringMatching(/an endpoint must be a map with name, address and port$/)),
  );
});

test("aliases that make a small file large are bounded", () => {
  const labels = Array.from({ length: 2000 }, (_, i) => `l${i}: x`).join(", ");
  const text = `labels: &l {${labels}}\nitem: &i {name: a, address: "::1", port: 1, labels: *l}\nendpoints:\n${"- *i\n".repeat(3000)}`;
  const { problems, problemCount } = readEndpoints(text);
  expect(problems[0]!.text).toBe("the file has more than 500000 fields, those behind aliases included");
  expect(problems.length).toBeLessThanOrEqual(100);
  expect(problemCount).toBeGreaterThan(100);
});

test.each<[string, string, RegExp]>([
  ["brackets", "[".repeat(100_000), /nested more than 32 levels deep/],
  ["list signs", "- ".repeat(100_000), /nested more than 32 levels deep/],
  ["braces", "{a: ".repeat(100_000), /nested more than 32 levels deep/],
  ["commas", `endpoints: [${",".repeat(900_000)}`, /more than 800000 words and signs/],
  ["quotes", '"'.repeat(10_000), /not valid YAML/],
])("a flood of %s is refused", (_what, text, problem) => {
  const { items, problems } = readEndpoints(text);
  expect(items).toBeUndefined();
  expect(problems[0]!.text).toMatch(problem);
  expect(problems.length).toBeLessThanOrEqual(100);
});

test("a hundred problems are told, the others counted", () => {
  const { problems, problemCount } = readEndpoints(`endpoints:\n${"- {name: a}\n".repeat(200)}`);
  expect(problems).toHaveLength(100);
  expect(problemCount).toBe(400);
});

test("whatever is written comes back as it was", () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  const port = fc.integer({ min: 1, max: 65_535 });
  const name = fc.stringMatching(/^[a-zA-Z0-9._-]{1,20}$/);
  const endpoint = fc.record({
    namespace: name,
    name,
    address: host,
    port,
    metricsAddress: host,
    metricsPort: port,
    labels: fc.dictionary(fc.string({ maxLength: 10 }), fc.string({ maxLength: 10 }), { noNullPrototype: true }),
  });
  fc.assert(
    fc.property(fc.array(endpoint, { maxLength: 5 }), (endpoints) => {
      const written = endpoints.map((each) => ({ ...each, port: String(each.port) }));
      const file = readEndpoints(JSON.stringify({ endpoints: written }));
      expect(file.problems).toEqual([]);
      expect(file.items?.map((each) => each.endpoint)).toEqual(endpoints);
    }),
  );
});

test("whatever the text: nothing is thrown, and every item is valid or has a problem", () => {
  const words = fc.constantFrom(
    "endpoints:",
    "- ",
    "name: a",
    "address: ::1",
    "port: 1",
    "labels:",
    "\n",
    "  ",
    "&a ",
    "*a",
    "<<: ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "? ",
    "!!binary ",
    "|",
    "'",
    '"',
    "#",
    "---\n",
    "%YAML 1.1\n",
    "null",
    "\t",
    "\u0000",
  );
  const text = fc.oneof(
    fc.array(words, { maxLength: 40 }).map((parts) => parts.join("")),
    fc.string({ maxLength: 60 }).map((rest) => `endpoints:\n- name: a\n  ${rest}`),
  );
  fc.assert(
    fc.property(text, (written) => {
      const { items, problems, problemCount } = readEndpoints(written);
      if (items === undefined || items.some((each) => each.endpoint === undefined)) {
        expect(problemCount).toBeGreaterThan(0);
      }
      for (const { line, column } of problems) expect(Math.min(line, column)).toBeGreaterThanOrEqual(1);
      for (const { id, endpoint } of items ?? []) {
        if (endpoint === undefined) continue;
        expect(id).toBe(`${endpoint.namespace}/${endpoint.name}`);
        expect(endpoint.port).toBeGreaterThanOrEqual(1);
        expect(endpoint.address).not.toBe("");
      }
    }),
    { numRuns: 1000 },
  );
});
