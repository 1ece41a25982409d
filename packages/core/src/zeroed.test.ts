import fc from "fast-check";
import { expect, test } from "vitest";
import { zeroedBytes, zeroedFloat64, zeroedInt32, zeroedUint32 } from "./zeroed.ts";

const makers = [zeroedFloat64, zeroedInt32, zeroedUint32, zeroedBytes];

test("arrays of every kind and length are zero, and share no byte with those handed out before", () => {
  const step = fc.record({ maker: fc.nat(3), length: fc.oneof(fc.nat(40), fc.nat(6000)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const all = steps.map(({ maker, length }, i) => {
        const made = makers[maker]!(length);
        expect(made).toHaveLength(length);
        expect(made.every((value) => value === 0)).toBe(true);
        return made.fill(i + 1);
      });
      for (const [i, made] of all.entries())
        expect(made.every((value) => value === (i + 1) % 256 || value === i + 1)).toBe(true);
    }),
  );
});

test("memory that arrays share cannot be taken away from them", () => {
  const made = zeroedFloat64(10);
  expect(() => structuredClone(made, { transfer: [made.buffer] })).toThrow();
  expect(made).toHaveLength(10);
});
