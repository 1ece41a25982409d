import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultMaxFields, maxGroupDepth, ProtoFields, wireType } from "./proto-fields.ts";
import { countVarints, readUint32s } from "./repeated-uint32.ts";

/** Wire format, written from its specification: numbers are 64 bits, seven in each byte, the lowest first. */
function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
}

const tag = (number: number, type: number): number[] => varint((BigInt(number) << 3n) | BigInt(type));
const delimited = (number: number, value: Iterable<number>): number[] => {
  const bytes = [...value];
  return [...tag(number, 2), ...varint(BigInt(bytes.length)), ...bytes];
};

type Field = readonly [number: number, type: number, value: string];

/** Fields as they were read; values as text. */
function fieldsOf(message: Iterable<number>): { readonly fields: Field[]; readonly problem: string | undefined } {
  const reader = new ProtoFields(Uint8Array.from(message));
  const fields: Field[] = [];
  while (reader.next()) {
    const { number, type } = reader;
    if (type === wireType.varint) fields.push([number, type, `${reader.uint32()} ${reader.bool()}`]);
    else fields.push([number, type, Buffer.from(reader.bytes()).toString("hex")]);
  }
  return { fields, problem: reader.problem };
}

const fieldNumber = fc.integer({ min: 1, max: 2 ** 29 - 1 });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

interface Encoded {
  readonly bytes: readonly number[];
  readonly fields: readonly Field[];
}

const simpleField: fc.Arbitrary<Encoded> = fc.oneof(
  fc.tuple(fieldNumber, uint64).map(
    ([number, value]): Encoded => ({
      bytes: [...tag(number, 0), ...varint(value)],
      fields: [[number, 0, `${BigInt.asUintN(32, value)} ${value !== 0n}`]],
    }),
  ),
  fc.tuple(fieldNumber, fc.uint8Array({ maxLength: 200 })).map(
    ([number, value]): Encoded => ({
      bytes: delimited(number, value),
      fields: [[number, 2, Buffer.from(value).toString("hex")]],
    }),
  ),
  fc
    .tuple(fieldNumber, fc.constantFrom([1, 8], [5, 4]), fc.uint8Array({ minLength: 8, maxLength: 8 }))
    .map(([number, [type, length], value]): Encoded => {
      const bytes = value.subarray(0, length);
      return {
        bytes: [...tag(number, type!), ...bytes],
        fields: [[number, type!, Buffer.from(bytes).toString("hex")]],
      };
    }),
);

const group: fc.Arbitrary<Encoded> = fc
  .tuple(fieldNumber, fieldNumber, fc.array(simpleField, { maxLength: 3 }))
  .map(([outer, inner, fields]) => ({
    bytes: [
      ...tag(outer, 3),
      ...fields.flatMap(({ bytes }) => bytes),
      ...tag(inner, 3),
      ...tag(inner, 4),
      ...tag(outer, 4),
    ],
    fields: [],
  }));

const message = fc.array(fc.oneof({ weight: 4, arbitrary: simpleField }, group), { maxLength: 12 }).map(
  (parts): Encoded => ({
    bytes: parts.flatMap(({ bytes }) => bytes),
    fields: parts.flatMap(({ fields }) => fields),
  }),
);

describe("the fields of a message", () => {
  test("come in order with their values, groups left out", () => {
    fc.assert(
      fc.property(message, ({ bytes, fields }) => {
        expect(fieldsOf(bytes)).toEqual({ fields, problem: undefined });
      }),
    );
  });

  test("of a cut message are the first ones, and a cut inside a field is a problem", () => {
    fc.assert(
      fc.property(message, fc.nat(), ({ bytes, fields }, at) => {
        const read = fieldsOf(bytes.slice(0, at % (bytes.length + 1)));
        expect(read.fields).toEqual(fields.slice(0, read.fields.length));
      }),
    );
    fc.assert(
      fc.property(simpleField, fc.nat(), ({ bytes }, at) => {
        expect(fieldsOf(bytes.slice(0, 1 + (at % (bytes.length - 1)))).problem).toBeDefined();
      }),
    );
  });

  test("of random bytes are read without a throw and lie within them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const { fields } = fieldsOf(bytes);
        expect(fields.length).toBeLessThanOrEqual(bytes.length / 2);
      }),
      { numRuns: 2000 },
    );
  });
});

test.each<[string, number[], RegExp]>([
  ["field number 0", [0x00, 0x01], /field number is out of range/],
  ["a field number beyond 29 bits", [...varint(1n << 32n), 1], /field number is out of range/],
  ["wire type 6", tag(1, 6), /wire type 6 is unknown/],
  ["wire type 7", tag(1, 7), /wire type 7 is unknown/],
  ["a number of eleven bytes", [...tag(1, 0), ...new Array<number>(10).fill(0x80), 1], /more than 10 bytes/],
  ["a number that is cut", [...tag(1, 0), 0x80], /a number is cut/],
  ["a length of 4 GiB", [...tag(1, 2), ...varint(0xffffffffn), 1], /a value is cut/],
  ["a length of more than 32 bits", [...tag(1, 2), ...varint(1n << 32n), 1], /a value is cut/],
  ["a length one too large", [...tag(1, 2), 3, 1, 2], /a value is cut/],
  ["a group that does not end", [...tag(1, 3), ...tag(2, 0), 1], /a group does not end/],
  ["a group that ends as another", [...tag(1, 3), ...tag(2, 4)], /another field number/],
  ["a group's end without a start", tag(1, 4), /has not started/],
])("%s is a problem", (_, bytes, problem) => {
  expect(fieldsOf(bytes).problem).toMatch(problem);
});

test("groups may nest to the limit and no deeper", () => {
  const nested = (depth: number): number[] => [
    ...new Array<number[]>(depth).fill(tag(1, 3)).flat(),
    ...new Array<number[]>(depth).fill(tag(1, 4)).flat(),
  ];
  expect(fieldsOf(nested(maxGroupDepth)).problem).toBeUndefined();
  expect(fieldsOf(nested(maxGroupDepth + 1)).problem).toMatch(/nested more than 100 deep/);
  expect(fieldsOf(new Array<number[]>(100_000).fill(tag(1, 3)).flat()).problem).toMatch(/nested more than/);
});

test("a message may have so many fields and no more", () => {
  const many = (count: number): number[] => new Array<number[]>(count).fill([...tag(15, 0), 1]).flat();
  expect(fieldsOf(many(defaultMaxFields)).problem).toBeUndefined();
  expect(fieldsOf(many(defaultMaxFields + 1)).problem).toMatch(/more than 65536 fields/);
});

describe("repeated numbers", () => {
  const values = fc.array(uint64, { maxLength: 20 });
  const packed = (field: number, numbers: readonly bigint[]): number[] => delimited(field, numbers.flatMap(varint));
  const plain = (field: number, numbers: readonly bigint[]): number[] =>
    numbers.flatMap((value) => [...tag(field, 0), ...varint(value)]);

  test("are counted and read in order, packed and plain, among other fields", () => {
    fc.assert(
      fc.property(values, values, values, fc.uint8Array({ maxLength: 9 }), (first, second, third, other) => {
        const bytes = Uint8Array.from([
          ...packed(2, first),
          ...delimited(1, other),
          ...plain(2, second),
          ...plain(3, [5n]),
          ...packed(2, third),
        ]);
        const expected = [...first, ...second, ...third].map((value) => Number(BigInt.asUintN(32, value)));
        expect(countVarints(bytes, 2)).toBe(expected.length);
        const out = new Uint32Array(expected.length + 2).fill(99);
        expect(readUint32s(bytes, 2, out, 1)).toBe(expected.length + 1);
        expect([...out]).toEqual([99, ...expected, 99]);
      }),
    );
  });

  test.each([
    ["a packed number is cut", delimited(2, [1, 0x80])],
    ["a packed number has eleven bytes", delimited(2, [...new Array<number>(10).fill(0x80), 1])],
    ["another field is cut", [...delimited(2, [1]), ...tag(3, 2), 9]],
  ])("are not counted when %s", (_, bytes) => {
    expect(countVarints(Uint8Array.from(bytes), 2)).toBeUndefined();
  });

  test("take numbers of ten bytes", () => {
    const bytes = Uint8Array.from(delimited(2, [...varint(2n ** 64n - 1n), 7]));
    expect(countVarints(bytes, 2)).toBe(2);
  });
});
