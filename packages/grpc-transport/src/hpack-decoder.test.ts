import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, createServer } from "node:net";
import { array, assert as check, constantFrom, property, string, stringMatching, tuple } from "fast-check";
import { expect, test } from "vitest";
import { emptySettings } from "../test/raw-http2-client.ts";
import { FrameReader } from "./frame-reader.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { encodeHeaderBlock } from "./hpack-encoder.ts";
import { frameType } from "./http2-protocol.ts";

type Field = readonly [name: string, value: string];

function decodeWith(
  decoder: HpackDecoder,
  bytes: Buffer,
): { fields: Field[]; problem: string | undefined; clean: boolean } {
  const fields: Field[] = [];
  let clean = true;
  const problem = decoder.decode(bytes, 0, bytes.length, {
    field: (name, value, wellFormed) => {
      fields.push([name, value]);
      clean &&= wellFormed;
    },
  });
  return { fields, problem, clean };
}
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const decoderOf = (tableBytes = 4096, listBytes = 65_536): HpackDecoder => new HpackDecoder(tableBytes, listBytes);
const problemOf = (text: string): string | undefined => decodeWith(decoderOf(), hex(text)).problem;

const requests: readonly (readonly [Field[], number])[] = [
  [
    [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", "www.example.com"],
    ],
    57,
  ],
  [
    [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", "www.example.com"],
      ["cache-control", "no-cache"],
    ],
    110,
  ],
  [
    [
      [":method", "GET"],
      [":scheme", "https"],
      [":path", "/index.html"],
      [":authority", "www.example.com"],
      ["custom-key", "custom-value"],
    ],
    164,
  ],
];
const responses: readonly (readonly [Field[], number])[] = [
  [
    [
      [":status", "302"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
      ["location", "https://www.example.com"],
    ],
    222,
  ],
  [
    [
      [":status", "307"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
      ["location", "https://www.example.com"],
    ],
    222,
  ],
  [
    [
      [":status", "200"],
      ["cache-control", "private"],
      ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
      ["location", "https://www.example.com"],
      ["content-encoding", "gzip"],
      ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
    ],
    215,
  ],
];

test.each([
  ["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key", "custom-header", 55],
  ["040c 2f73 616d 706c 652f 7061 7468", ":path", "/sample/path", 0],
  ["1008 7061 7373 776f 7264 0673 6563 7265 74", "password", "secret", 0],
  ["82", ":method", "GET", 0],
])("RFC 7541 C.2: %s is %s: %s", (block, name, value, tableBytes) => {
  const decoder = decoderOf();
  expect(decodeWith(decoder, hex(block))).toEqual({ fields: [[name, value]], problem: undefined, clean: true });
  expect(decoder.tableBytes).toBe(tableBytes);
});

test.each([
  [
    "C.3: requests",
    4096,
    requests,
    [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
  ],
  [
    "C.4: requests with Huffman codes",
    4096,
    requests,
    [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
  ],
  [
    "C.5: responses with evictions",
    256,
    responses,
    [
      "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "4803 3330 37c1 c0bf",
      "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ],
  ],
  [
    "C.6: responses with Huffman codes and evictions",
    256,
    responses,
    [
      "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
      "4883 640e ffc1 c0bf",
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ],
  ],
] as const)("RFC 7541 %s", (_name, tableBytes, expected, blocks) => {
  const decoder = decoderOf(tableBytes);
  blocks.forEach((block, at) => {
    const [fields, size] = expected[at]!;
    expect(decodeWith(decoder, hex(block))).toEqual({ fields, problem: undefined, clean: true });
    expect(decoder.tableBytes).toBe(size);
  });
});

test.each([
  ["index 0", "80", "index 0"],
  ["an index beyond the table", "be", "index beyond the table"],
  ["a name index beyond the table", "7f 00 01 61", "index beyond the table"],
  ["an index cut short", "ff", "integer cut short"],
  ["an index that overflows", "ff ff ff ff ff ff ff 01", "integer too large"],
  ["a string longer than the block", "40 05 61", "string cut short"],
  ["a field without value", "40 01 61", "string cut short"],
  ["a string length that overflows", "40 7f ff ff ff ff 7f", "integer too large"],
  ["a table size above ours", "3f e2 1f", "table size update above the allowed size"],
  ["a table size update after a field", "82 20", "table size update after a field"],
  ["a bad Huffman code", "40 81 00 81 00", "invalid Huffman code"],
])("%s is a problem", (_name, block, problem) => {
  expect(problemOf(block)).toBe(problem);
});

test("table size updates at the start drop entries; an entry larger than the table empties it", () => {
  const decoder = decoderOf();
  decodeWith(decoder, hex("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"));
  expect(decoder.tableBytes).toBe(55);
  expect(decodeWith(decoder, hex("20 3f e1 1f 82")).problem).toBeUndefined();
  expect(decoder.tableBytes).toBe(0);
  const small = decoderOf(60);
  decodeWith(small, hex("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"));
  decodeWith(small, Buffer.concat([hex("40 01 61 40"), Buffer.alloc(64, "b")]));
  expect(small.tableBytes).toBe(0);
});

test("fields beyond the list limit are not handed over, and the table stays in step", () => {
  const decoder = decoderOf(4096, 100);
  const many = encodeHeaderBlock([
    ["a", "1"],
    ["b", "2"],
    ["c", "3"],
  ]);
  const block = Buffer.concat([many, hex("40 01 64 01 34")]);
  expect(decodeWith(decoder, block).fields.map(([name]) => name)).toEqual(["a", "b"]);
  expect(decoder.tooLarge).toBe(true);
  expect(decodeWith(decoder, hex("be"))).toEqual({ fields: [["d", "4"]], problem: undefined, clean: true });
  expect(decoder.tooLarge).toBe(false);
});

test("a block that refers to one large entry again and again is refused early", () => {
  const decoder = decoderOf(4096, 8192);
  const entry = Buffer.concat([hex("40 01 61 7f a1 1e"), Buffer.alloc(4000, "b")]);
  const bomb = Buffer.concat([entry, Buffer.alloc(16_000, 0xbe)]);
  const { problem, fields } = decodeWith(decoder, bomb);
  expect(problem).toBe("header list far above the limit");
  expect(fields.length).toBeLessThan(4);
});

test.each([
  ["upper case in a name", "40 01 41 01 61"],
  ["a space in a name", "40 01 20 01 61"],
  ["an empty name", "40 00 01 61"],
  ["a line feed in a value", "40 01 61 01 0a"],
  ["a NUL in a value", "40 01 61 01 00"],
  ["a value that begins with a space", "40 01 61 02 20 61"],
])("%s is marked, also when the table gives it again", (_name, block) => {
  const decoder = decoderOf();
  expect(decodeWith(decoder, hex(block))).toMatchObject({ problem: undefined, clean: false });
  expect(decodeWith(decoder, hex("be"))).toMatchObject({ problem: undefined, clean: false });
});

test("what is encoded here decodes to the same list", () => {
  const name = stringMatching(/^[a-z0-9-]{1,40}$/);
  const value = string({ unit: constantFrom(..."abcXYZ019 :/%~é"), maxLength: 300 }).map((text) => text.trim());
  void check(
    property(array(tuple(name, value), { maxLength: 20 }), (fields) => {
      expect(decodeWith(decoderOf(), encodeHeaderBlock(fields))).toEqual({ fields, problem: undefined, clean: true });
    }),
  );
});

test("header blocks of node:http2, with its dynamic table and Huffman codes, decode to what was sent", async () => {
  const blocks: Buffer[] = [];
  let wake = (): void => {};
  const server = createServer((socket) => {
    socket.write(emptySettings);
    const reader = new FrameReader({
      frame: (type, flags, _streamId, bytes, start, end) => {
        if (type !== frameType.headers) return;
        blocks.push(bytes.subarray(start + ((flags & 0x20) !== 0 ? 5 : 0), end));
        wake();
      },
      dataStart: () => {},
      dataBytes: () => {},
      dataEnd: () => {},
      connectionError: (_code, violation) => {
        throw new Error(violation);
      },
    });
    socket.on("data", (chunk: Buffer) => reader.read(chunk, chunk.length));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  session.on("error", () => {});
  let random = 7;
  const next = (limit: number): number => {
    random = (random * 1_103_515_245 + 12_345) % 0x7fffffff;
    return random % limit;
  };
  const printable = Array.from({ length: 94 }, (_, at) => String.fromCharCode(33 + at)).join("");
  const sent: Record<string, string>[] = [];
  for (let at = 0; at < 200; at++) {
    const fields: Record<string, string> = { ":path": `/p${next(5)}`, "user-agent": "a-client/1.0" };
    for (let count = next(8); count > 0; count--) {
      const length = next(4) === 0 ? next(200) : next(12);
      fields[`x-h${next(30)}`] = Array.from({ length }, () => printable[next(94)]).join("");
    }
    sent.push(fields);
    const stream = session.request({ ":method": "POST", ...fields });
    stream.on("error", () => {});
    while (blocks.length <= at) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    stream.close();
  }
  session.destroy();
  server.close();
  const decoder = decoderOf();
  sent.forEach((fields, at) => {
    const { fields: decoded, problem, clean } = decodeWith(decoder, blocks[at]!);
    expect(problem).toBeUndefined();
    expect(clean).toBe(true);
    expect(Object.fromEntries(decoded)).toMatchObject(fields);
    expect(decoded.length).toBe(Object.keys(fields).length + 3);
  });
  expect(decoder.tableBytes).toBeGreaterThan(1000);
});
