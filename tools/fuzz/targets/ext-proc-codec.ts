import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type ProcessingRequest,
  ProcessingRequestSchema,
} from "../../../packages/proto/src/gen/envoy/service/ext_proc/v3/external_processor_pb.ts";
import { decodeProcessingRequest } from "../../../packages/proto/src/index.ts";
import type { FuzzRandom } from "../fuzz-random.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { messageShape } from "../reference/message-shape.ts";

class Collected {
  readonly pairs: [string, string][] = [];
  append(name: string, value: string): void {
    this.pairs.push([name, value]);
  }
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

function headerMap(random: FuzzRandom) {
  return {
    headers: random.list(5, () => ({
      key: random.pick([":path", "content-type", "x-a", "", "é"]),
      value: random.pick(["", "v", "größer"]),
      rawValue: random.oneIn(2) ? random.bytes(random.below(20)) : new Uint8Array(0),
    })),
  };
}

function struct(random: FuzzRandom, depth: number): { [key: string]: never } {
  const value = (level: number): unknown => {
    switch (random.below(level > 3 ? 4 : 6)) {
      case 0:
        return null;
      case 1:
        return random.below(1000) / 8;
      case 2:
        return random.pick(["", "text", "é"]);
      case 3:
        return random.oneIn(2);
      case 4:
        return random.list(3, () => value(level + 1));
      default:
        return struct(random, level + 1);
    }
  };
  // The type of JSON objects of protobuf-es; made of JSON values by construction.
  return Object.fromEntries(random.list(3, () => [random.pick(["a", "", "__proto__", "é"]), value(depth)])) as never;
}

function message(random: FuzzRandom): ProcessingRequest {
  const kind = random.pick([
    "requestHeaders",
    "responseHeaders",
    "requestBody",
    "responseBody",
    "requestTrailers",
    "responseTrailers",
  ] as const);
  const map = headerMap(random);
  const endOfStream = random.oneIn(2);
  const value = kind.endsWith("Headers")
    ? { headers: map, endOfStream }
    : kind.endsWith("Body")
      ? { body: random.bytes(random.below(200)), endOfStream }
      : { trailers: map };
  return create(ProcessingRequestSchema, {
    // The case and its value belong together by construction.
    request: { case: kind, value } as never,
    ...(random.oneIn(2) ? { metadataContext: { filterMetadata: { "envoy.lb": struct(random, 0) } } } : {}),
  });
}

interface Decoded {
  readonly kind: string | undefined;
  readonly headers: readonly (readonly [string, string])[] | undefined;
  readonly body: string;
  readonly endOfStream: boolean;
  readonly metadata: unknown;
}

function reference(bytes: Uint8Array): Decoded {
  const { request, metadataContext } = fromBinary(ProcessingRequestSchema, bytes);
  const { value } = request;
  const map =
    value === undefined
      ? undefined
      : "headers" in value
        ? value.headers
        : "trailers" in value
          ? value.trailers
          : undefined;
  return {
    kind: request.case,
    headers: map?.headers.map(({ key, value: text, rawValue }) => [
      latin1(Buffer.from(key)),
      rawValue.length > 0 ? latin1(rawValue) : latin1(Buffer.from(text)),
    ]),
    body: value !== undefined && "body" in value ? latin1(value.body) : "",
    endOfStream: value !== undefined && "endOfStream" in value ? value.endOfStream : false,
    metadata: metadataContext?.filterMetadata ?? {},
  };
}

const bigger = (_key: string, value: unknown): unknown => (typeof value === "number" ? `number ${value}` : value);

const target: FuzzTarget = {
  summary: "ext_proc messages: what protobuf-es decodes, or both refuse",
  sample(random) {
    const parts = [toBinary(ProcessingRequestSchema, message(random))];
    if (random.oneIn(4)) parts.push(toBinary(ProcessingRequestSchema, message(random)));
    // Unknown fields of every wire type.
    if (random.oneIn(6)) parts.push(Buffer.from("f801ff01f9010102030405060708fa0103090909fd0101020304", "hex"));
    return Buffer.concat(parts);
  },
  check(input) {
    const ours = decodeProcessingRequest(input, () => new Collected());
    let theirs: Decoded | undefined;
    let fault: unknown;
    try {
      theirs = reference(input);
    } catch (thrown: unknown) {
      fault = thrown;
    }
    // protobuf-es follows inner messages beyond their ends, and reads known fields whatever their wire type.
    const shape = messageShape(input, ProcessingRequestSchema);
    if (shape === "malformed" && typeof ours !== "string")
      throw new Error("it is malformed, and ours does not refuse it");
    if (shape !== "fine") return;
    if (theirs === undefined) {
      // Header values are read byte by byte here, as UTF-8 there.
      if (typeof ours === "string" || fault instanceof TypeError) return;
      throw new Error(`protobuf-es refuses it (${String(fault)}), ours does not`);
    }
    if (typeof ours === "string") {
      if (ours.includes("nested too deep")) return;
      throw new Error(`ours refuses it (${ours}), protobuf-es does not`);
    }
    const mine: Decoded = {
      kind: ours.kind,
      headers: ours.headers?.pairs,
      body: latin1(ours.body),
      endOfStream: ours.endOfStream,
      metadata: ours.metadata,
    };
    const [one, other] = [JSON.stringify(mine, bigger), JSON.stringify(theirs, bigger)];
    if (one !== other) throw new Error(`decoded ${one.slice(0, 2000)}, protobuf-es ${other.slice(0, 2000)}`);
  },
};
export default target;
