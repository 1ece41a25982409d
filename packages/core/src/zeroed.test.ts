import fc from "fast-check";
import { expect, test } from "vitest";
import { zeroedBytes, zeroedFloat64, zeroedInt32, zeroedUint32 } from "./zeroed.ts";

const makers = [zeroedFloat64, zeroedInt32, zeroedUint32, zeroedBytes];

test("arrays of every kind and length are zero, and share no byte with those handed out before", () => {
  const step = fc.record({ maker: fc.nat(3), length: fc.oneof(fc.nat(40), fc.nat(6000)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const all: (readonly [made: Float64Array | Int32Array | Uint32Array | Uint8Array, filledWith: number])[] = [];
      for (const { maker, length } of steps) {
        const made = makers[maker]!(length);
        expect(made).toHaveLength(length);
        expect(Array.from(made)).toEqual(new Array(length).fill(0));
        made.fill(all.length + 1);
        all.push([made, all.length + 1]);
      }
      for (const [made, filledWith] of all) expect(Array.from(made)).toEqual(new Array(made.length).fill(filledWith));
    }),
  );
});
