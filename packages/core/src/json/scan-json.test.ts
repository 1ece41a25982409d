import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { scanJson } from "./scan-json.ts";
import { stringValue } from "./string-value.ts";

interface GoAnswers {
  readonly errors: readonly (readonly [input: string, message: string, offset: number])[];
  readonly accepted: readonly string[];
  readonly strings: readonly (readonly [input: string, text: string])[];
}

const goAnswers: GoAnswers = JSON.parse(
  readFileSync(new URL("./golden/go-encoding-json.json", import.meta.url), "utf8"),
);

/** One character stands for one byte. */
function latin1(input: string): Uint8Array {
  return Buffer.from(input, "latin1");
}

function verdict(bytes: Uint8Array, maxDepth?: number): [message: string, offset: number] | "ok" {
  const scanned = scanJson(bytes, maxDepth === undefined ? undefined : { maxDepth });
  return scanned.ok ? "ok" : [scanned.message, scanned.offset];
}

test("the golden file covers errors, accepted inputs and strings", () => {
  expect(goAnswers.errors.length).toBeGreaterThan(500);
  expect(goAnswers.accepted.length).toBeGreaterThan(30);
  expect(goAnswers.strings.length).toBeGreaterThan(30);
});

test("the text and place of every error are those of Go's encoding/json", () => {
  for (const [input, message, offset] of goAnswers.errors) {
    expect([input, verdict(latin1(input))]).toEqual([input, [message, offset]]);
  }
});

test("what Go's encoding/json accepts is accepted", () => {
  for (const input of goAnswers.accepted) expect([input, verdict(latin1(input))]).toEqual([input, "ok"]);
});

test("strings decode to the text Go's encoding/json gives", () => {
  for (const [input, text] of goAnswers.strings) {
    const scanned = scanJson(latin1(input));
    expect([input, scanned.ok && stringValue(scanned.root)]).toEqual([input, text]);
  }
});

test("every text that is cut off is an error at its end", () => {
  const whole = latin1(
    '{"a":[1,true,{"b":"x\\u00e9\\n"}],"c":null,"d":"0123456789012345678901234567890123456789012345"}',
  );
  expect(verdict(whole)).toBe("ok");
  for (let length = 0; length < whole.length; length++) {
    expect([length, verdict(whole.subarray(0, length))]).toEqual([length, [expect.any(String), length]]);
  }
});

test("a string is checked in full at every length and alignment", () => {
  for (let length = 0; length < 90; length++) {
    const text = `["${"x".repeat(length)}"]`;
    for (let before = 0; before < 4; before++) {
      const memory = Buffer.alloc(before + text.length + 70, '"');
      memory.write(text, before, "latin1");
      const bytes = memory.subarray(before, before + text.length);
      const padded = Buffer.concat([bytes, Buffer.alloc(64, " ")]);
      expect(verdict(bytes)).toBe("ok");
      expect(verdict(padded)).toBe("ok");
      const at = 2 + (length >> 1);
      if (length === 0) continue;
      padded[at] = 0x1f;
      expect(verdict(padded)).toEqual(["invalid character '\\x1f' in string literal", at]);
      padded[at] = 0x22;
      expect(verdict(padded)).toEqual([
        expect.stringMatching(/after array element|unexpected end/),
        expect.any(Number),
      ]);
    }
  }
});

test.each([0x00, 0x1f, 0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0x9f, 0xa2, 0xdc, 0xff])(
  "byte %i is judged alone wherever it stands in a long string",
  (byte) => {
    for (let at = 0; at < 64; at++) {
      const bytes = Buffer.from(`"${"x".repeat(64)}"`);
      bytes[at + 1] = byte;
      const message =
        byte === 0 ? "invalid character '\\x00' in string literal" : "invalid character '\\x1f' in string literal";
      expect(verdict(bytes)).toEqual(byte < 0x20 ? [message, at + 1] : "ok");
    }
  },
);

test("nesting is accepted up to the limit and an error at the bracket beyond it", () => {
  const nested = (depth: number) => latin1('{"a":['.repeat(depth / 2) + "]}".repeat(depth / 2));
  expect(verdict(nested(512))).toBe("ok");
  expect(verdict(nested(514))).toEqual(["arrays and objects nest deeper than 512 levels", 256 * 6]);
  expect(verdict(nested(2), 1)).toEqual(["arrays and objects nest deeper than 1 levels", 5]);
  expect(verdict(nested(2), 2)).toBe("ok");
  expect(verdict(nested(10_000), 10_000)).toBe("ok");
});

test("a depth limit out of range is moved into it", () => {
  const nested = (depth: number) => latin1("[".repeat(depth) + "]".repeat(depth));
  expect(verdict(nested(1), 0)).toBe("ok");
  expect(verdict(nested(2), -5)).not.toBe("ok");
  expect(verdict(nested(10_000), 1e9)).toBe("ok");
  expect(verdict(nested(10_001), Number.POSITIVE_INFINITY)).not.toBe("ok");
  expect(verdict(nested(512), Number.NaN)).toBe("ok");
  expect(verdict(nested(513), Number.NaN)).not.toBe("ok");
});

test("a million open brackets are one error, not a stack overflow", () => {
  expect(verdict(Buffer.alloc(1_000_000, "["))).toEqual(["arrays and objects nest deeper than 512 levels", 512]);
});

test("a root object of more members than the limit is an error at the first key too many", () => {
  const list = (count: number) => Array.from({ length: count }, () => '"":0').join(",");
  expect(verdict(latin1(`{${list(16_384)}}`))).toBe("ok");
  const message = "the root object has more than 16384 members";
  expect(verdict(latin1(`{${list(16_385)}}`))).toEqual([message, 1 + 16_384 * 5]);
  expect(verdict(latin1(`[{${list(16_385)}}]`))).toBe("ok");
});

test("a scan that failed leaves nothing behind for the next one", () => {
  const whole = latin1(`{"a":{"b":"${"x".repeat(200)}"},"c":1}`);
  const before = scanJson(whole);
  expect(verdict(latin1(`{"z":{"y":[["${"x".repeat(300)}",`))).not.toBe("ok");
  expect(scanJson(whole)).toEqual(before);
});

test("an input beyond the size limit is an error", () => {
  expect(verdict(new Uint8Array(2 ** 28 + 1))).toEqual([
    "input of 268435457 bytes exceeds the limit of 268435456 bytes",
    268_435_456,
  ]);
});

test("the root has neither the white space around it nor a copy of the bytes", () => {
  const bytes = latin1(' \n {"a":1}\t ');
  const scanned = scanJson(bytes);
  expect(scanned.ok && [scanned.bytes === bytes, scanned.root.start, scanned.root.end]).toEqual([true, 3, 10]);
});
