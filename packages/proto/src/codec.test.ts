import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  CommonResponseSchema,
  type ProcessingRequest,
  ProcessingRequestSchema,
  type ProcessingResponse,
  ProcessingResponseSchema,
} from "./gen/envoy/service/ext_proc/v3/external_processor_pb.ts";
import {
  decodeProcessingRequest,
  encodeBodyResponsePrefix,
  encodeHeadersResponse,
  encodeImmediateResponse,
  encodeKeptBodyResponse,
  encodeReplacedBodyResponsePrefix,
  encodeStruct,
  encodeTrailersResponse,
  KnownMetadata,
} from "./index.ts";

class Collected {
  readonly pairs: [string, string][] = [];
  append(name: string, value: string): void {
    this.pairs.push([name, value]);
  }
}

const decode = (bytes: Uint8Array) => decodeProcessingRequest(bytes, () => new Collected());
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

const token = fc.stringMatching(/^[a-z0-9:_-]{1,20}$/);
const headerValue = fc.record({
  key: token,
  value: fc.stringMatching(/^[ -~]{0,20}$/),
  rawValue: fc.uint8Array({ maxLength: 24 }),
});
const jsonLeaf = fc.oneof(
  fc.string(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
);
const struct = fc.dictionary(
  fc.string(),
  fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      jsonLeaf,
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.string(), tie("value"), { maxKeys: 3 }),
    ),
  })).value,
  { maxKeys: 4 },
) as fc.Arbitrary<JsonObject>;

const message: fc.Arbitrary<ProcessingRequest> = fc
  .record({
    kind: fc.constantFrom(
      "requestHeaders" as const,
      "responseHeaders" as const,
      "requestBody" as const,
      "responseBody" as const,
      "requestTrailers" as const,
      "responseTrailers" as const,
    ),
    headers: fc.option(fc.array(headerValue, { maxLength: 6 }), { nil: undefined }),
    body: fc.uint8Array({ maxLength: 300 }),
    endOfStream: fc.boolean(),
    metadata: fc.option(fc.dictionary(fc.string(), struct, { maxKeys: 3 }), { nil: undefined }),
    modes: fc.option(fc.record({ requestBodyMode: fc.integer(), responseBodyMode: fc.integer({ min: 0, max: 5 }) }), {
      nil: undefined,
    }),
  })
  .map(({ kind, headers, body, endOfStream, metadata, modes }) => {
    const map = headers === undefined ? {} : { headers: { headers } };
    const value = kind.endsWith("Headers")
      ? { ...map, endOfStream }
      : kind.endsWith("Body")
        ? { body, endOfStream }
        : headers === undefined
          ? {}
          : { trailers: { headers } };
    return create(ProcessingRequestSchema, {
      // The case and its value belong together by construction.
      request: { case: kind, value } as never,
      ...(metadata === undefined ? {} : { metadataContext: { filterMetadata: metadata } }),
      ...(modes === undefined ? {} : { protocolConfig: modes }),
    });
  });

/** The reference's view of a message, in the decoder's terms. */
function reference(bytes: Uint8Array) {
  const decoded = fromBinary(ProcessingRequestSchema, bytes);
  const { request } = decoded;
  const value = request.value;
  const map =
    value === undefined || !("headers" in value || "trailers" in value)
      ? undefined
      : "headers" in value
        ? value.headers
        : "trailers" in value
          ? value.trailers
          : undefined;
  return {
    kind: request.case,
    headers: map?.headers.map((h) => [h.key, h.rawValue.length > 0 ? latin1(h.rawValue) : h.value]),
    body: value !== undefined && "body" in value ? latin1(value.body) : "",
    endOfStream: value !== undefined && "endOfStream" in value ? value.endOfStream : false,
    metadata: decoded.metadataContext?.filterMetadata ?? {},
    bodyModes: decoded.protocolConfig && {
      request: decoded.protocolConfig.requestBodyMode,
      response: decoded.protocolConfig.responseBodyMode,
    },
  };
}

function ours(bytes: Uint8Array) {
  const decoded = decode(bytes);
  if (typeof decoded === "string") return decoded;
  return {
    kind: decoded.kind,
    headers: decoded.headers?.pairs,
    body: latin1(decoded.body),
    endOfStream: decoded.endOfStream,
    metadata: decoded.metadata,
    bodyModes: decoded.bodyModes,
  };
}

test("decodes every message as protobuf-es does", () => {
  fc.assert(
    fc.property(message, (built) => {
      const bytes = toBinary(ProcessingRequestSchema, built);
      expect(ours(bytes)).toEqual(reference(bytes));
    }),
    { numRuns: 500 },
  );
});

test("two messages after one another merge, and the last member of the oneof wins", () => {
  fc.assert(
    fc.property(message, message, (first, second) => {
      const bytes = Buffer.concat([
        toBinary(ProcessingRequestSchema, first),
        toBinary(ProcessingRequestSchema, second),
      ]);
      expect(ours(bytes)).toEqual(reference(bytes));
    }),
  );
});

test("metadata that a stream sends again is what decoding it anew gives, whatever came between", () => {
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 2, maxLength: 3 }),
      fc.array(fc.nat(), { maxLength: 8 }),
      (some, order) => {
        const encoded = some.map((one) => toBinary(ProcessingRequestSchema, one));
        const known = new KnownMetadata();
        for (const at of order) {
          // One message, or two that merge.
          const bytes = Buffer.concat(at % 3 === 0 ? encoded.slice(0, 2) : [encoded[at % encoded.length]!]);
          const decoded = decodeProcessingRequest(bytes, () => new Collected(), known);
          expect(decoded).toEqual(decode(bytes));
          bytes.fill(0);
        }
      },
    ),
  );
});

test("passes over unknown fields of every wire type", () => {
  const unknown = Buffer.from([
    ...[0xf8, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // field 31 varint
    ...[0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8], // field 31 fixed64
    ...[0xfa, 0x01, 3, 9, 9, 9], // field 31 bytes
    ...[0xfd, 0x01, 1, 2, 3, 4], // field 31 fixed32
    ...[0xfb, 0x01, 0x08, 0x01, 0xfc, 0x01], // field 31 group
  ]);
  const built = toBinary(
    ProcessingRequestSchema,
    create(ProcessingRequestSchema, {
      request: { case: "requestBody", value: { body: Buffer.from("x"), endOfStream: true } },
    }),
  );
  for (const bytes of [Buffer.concat([unknown, built]), Buffer.concat([built, unknown])]) {
    expect(ours(bytes)).toEqual(reference(bytes));
  }
});

test("truncated and random bytes give a reason or a message, and agree with protobuf-es on which", () => {
  const agree = (bytes: Uint8Array): void => {
    const mine = ours(bytes);
    let theirs: unknown;
    try {
      theirs = reference(bytes);
    } catch {
      theirs = undefined;
    }
    // Header values that are not UTF-8 are refused there and read byte by byte here.
    if (theirs !== undefined && typeof mine !== "string") expect(mine).toEqual(theirs);
    if (theirs !== undefined) expect(typeof mine).not.toBe("string");
  };
  fc.assert(
    fc.property(message, fc.nat(), (built, cut) => {
      const bytes = toBinary(ProcessingRequestSchema, built);
      agree(bytes.subarray(0, cut % (bytes.length + 1)));
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      ours(bytes);
    }),
    { numRuns: 2000 },
  );
});

test("metadata that comes in many parts is read in time that grows with its size", () => {
  // Time that grows with the square of the parts takes hours.
  const parts = 200_000;
  const bytes: Buffer[] = [];
  for (let at = 0; at < parts; at++) {
    const key = Buffer.from(`${at}`);
    const mapEntry = Buffer.concat([Buffer.from([10, key.length]), key]);
    bytes.push(Buffer.from([66, mapEntry.length + 2, 10, mapEntry.length]), mapEntry);
  }
  const decoded = decode(Buffer.concat(bytes));
  expect(typeof decoded === "string" ? decoded : Object.keys(decoded.metadata).length).toBe(parts);
});

test("a namespace that nests as deep as a filter's JSON may is read like any other", () => {
  let nested: JsonObject = { end: true };
  for (let level = 2; level < 100; level++) nested = { a: nested };
  const bytes = toBinary(
    ProcessingRequestSchema,
    create(ProcessingRequestSchema, { metadataContext: { filterMetadata: { filter: nested, hint: { b: 1 } } } }),
  );
  expect(decode(bytes)).toEqual(expect.objectContaining({ metadata: { filter: nested, hint: { b: 1 } } }));
});

test("metadata nested beyond the bound is refused, not followed", () => {
  let value = Buffer.from([32, 1]);
  for (let i = 0; i < 5000; i++) {
    const list = Buffer.concat([Buffer.from([10]), varint(value.length), value]);
    value = Buffer.concat([Buffer.from([50]), varint(list.length), list]);
  }
  const entry = Buffer.concat([Buffer.from([10, 1, 97, 18]), varint(value.length), value]);
  const object = Buffer.concat([Buffer.from([10]), varint(entry.length), entry]);
  const mapEntry = Buffer.concat([Buffer.from([10, 1, 98, 18]), varint(object.length), object]);
  const metadata = Buffer.concat([Buffer.from([10]), varint(mapEntry.length), mapEntry]);
  expect(ours(Buffer.concat([Buffer.from([66]), varint(metadata.length), metadata]))).toBe("metadata nested too deep");
});

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return Buffer.from([...out, rest]);
}

test("a key named __proto__ stays a key", () => {
  const bytes = toBinary(
    ProcessingRequestSchema,
    create(ProcessingRequestSchema, {
      metadataContext: {
        filterMetadata: JSON.parse('{"__proto__": {"polluted": true}}') as Record<string, JsonObject>,
      },
    }),
  );
  const decoded = decode(bytes);
  expect(decoded).not.toBeTypeOf("string");
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});

const pairs = fc.array(fc.tuple(token, fc.stringMatching(/^[ -~]{0,300}$/)), { maxLength: 5 });

const responseBodyOf = ({ response }: ProcessingResponse) =>
  response.case === "responseBody" ? response.value.response : undefined;

test("replies decode with protobuf-es to what was encoded", () => {
  fc.assert(
    fc.property(
      pairs,
      fc.array(token, { maxLength: 3 }),
      fc.uint8Array({ maxLength: 70_000, size: "max" }),
      fc.boolean(),
      fc.option(struct, { nil: undefined }),
      (set, remove, body, endOfStream, metadata) => {
        const headers = fromBinary(
          ProcessingResponseSchema,
          encodeHeadersResponse("request", set, remove, {
            clearRouteCache: true,
            metadata: metadata === undefined ? undefined : encodeStruct(metadata),
          }),
        );
        expect(headers.dynamicMetadata).toEqual(metadata);
        const common = headers.response.case === "requestHeaders" ? headers.response.value.response : undefined;
        expect(common?.clearRouteCache).toBe(true);
        expect(common?.headerMutation?.removeHeaders ?? []).toEqual(remove);
        expect(
          common?.headerMutation?.setHeaders.map((o) => [o.header?.key, latin1(o.header?.rawValue ?? Buffer.alloc(0))]),
        ).toEqual(set);

        const prefix = encodeBodyResponsePrefix("response", body.length, endOfStream, metadata);
        const reply = fromBinary(ProcessingResponseSchema, Buffer.concat([prefix, body]));
        expect(reply.dynamicMetadata).toEqual(metadata);
        const mutation =
          reply.response.case === "responseBody" ? reply.response.value.response?.bodyMutation : undefined;
        const streamed = mutation?.mutation.case === "streamedResponse" ? mutation.mutation.value : undefined;
        expect(streamed?.endOfStream).toBe(endOfStream);
        expect(Buffer.compare(streamed!.body, body)).toBe(0);

        const kept = fromBinary(ProcessingResponseSchema, encodeKeptBodyResponse(metadata));
        expect(kept.dynamicMetadata).toEqual(metadata);
        expect(responseBodyOf(kept)).toEqual(create(CommonResponseSchema));

        const options = { metadata, contentLength: endOfStream };
        const replacedPrefix = encodeReplacedBodyResponsePrefix(body.length, options);
        const replaced = fromBinary(ProcessingResponseSchema, Buffer.concat([replacedPrefix, body]));
        expect(replaced.dynamicMetadata).toEqual(metadata);
        const replacement = responseBodyOf(replaced)?.bodyMutation?.mutation;
        expect(replacement?.case === "body" && Buffer.compare(replacement.value, body)).toBe(0);
        expect(
          responseBodyOf(replaced)?.headerMutation?.setHeaders.map((o) => [o.header?.key, latin1(o.header!.rawValue)]),
        ).toEqual(endOfStream ? [["content-length", String(body.length)]] : undefined);
      },
    ),
    { numRuns: 60 },
  );
  const trailers = fromBinary(ProcessingResponseSchema, encodeTrailersResponse("response"));
  expect(trailers.response.case).toBe("responseTrailers");
  const immediate = fromBinary(ProcessingResponseSchema, encodeImmediateResponse(503, "größer", [["x-a", "b"]]));
  expect(immediate.response.case).toBe("immediateResponse");
  if (immediate.response.case === "immediateResponse") {
    expect(immediate.response.value.status?.code).toBe(503);
    expect(Buffer.from(immediate.response.value.body).toString()).toBe("größer");
    expect(immediate.response.value.headers?.setHeaders[0]?.header?.key).toBe("x-a");
  }
});
