import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";

/** A value of an attribute. */
export type Value = string | number | boolean | readonly Value[] | undefined;
export type Attributes = Readonly<Record<string, Value>>;

export interface ReceivedSpan {
  readonly scope: string;
  readonly resource: Attributes;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly name: string;
  /** 1 is internal, 2 is server. */
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Attributes;
  readonly events: readonly { readonly name: string; readonly attributes: Attributes }[];
  /** 2 is an error. */
  readonly status: { readonly code: number; readonly message: string };
}

/** A collector: takes spans over OTLP/gRPC on a free port. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  readonly metadata: Record<string, unknown>[] = [];
  readonly #server = new Server();
  url = "";

  async start(): Promise<void> {
    this.#server.register(
      "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
      (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
        this.metadata.push(call.metadata.getMap());
        this.spans.push(...spansOf(call.request));
        reply(null, Buffer.alloc(0));
      },
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      "unary",
    );
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    this.url = `http://127.0.0.1:${port}`;
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

/** Fields of a message by number: numbers, or bytes. Source: the protobuf encoding. */
type Fields = ReadonlyMap<number, readonly (bigint | Buffer)[]>;

function fieldsOf(bytes: Buffer): Fields {
  const fields = new Map<number, (bigint | Buffer)[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    let value: bigint | Buffer;
    switch (tag & 7) {
      case 0:
        value = varint();
        break;
      case 1:
        value = bytes.readBigUInt64LE(at);
        at += 8;
        break;
      case 2: {
        const length = Number(varint());
        value = bytes.subarray(at, at + length);
        at += length;
        break;
      }
      case 5:
        value = BigInt(bytes.readUInt32LE(at));
        at += 4;
        break;
      default:
        throw new Error(`wire type ${tag & 7} at ${at}`);
    }
    const list = fields.get(tag >> 3) ?? [];
    list.push(value);
    fields.set(tag >> 3, list);
  }
  return fields;
}

const buffers = (fields: Fields, number: number): Buffer[] =>
  (fields.get(number) ?? []).filter((value) => Buffer.isBuffer(value));
const message = (fields: Fields, number: number): Fields => fieldsOf(buffers(fields, number)[0] ?? Buffer.alloc(0));
const text = (fields: Fields, number: number): string => buffers(fields, number)[0]?.toString() ?? "";
const integer = (fields: Fields, number: number): bigint => {
  const value = fields.get(number)?.[0];
  return typeof value === "bigint" ? value : 0n;
};

function anyValueOf(any: Fields): Value {
  const [number] = any.keys();
  if (number === undefined) return undefined;
  switch (number) {
    case 1:
      return text(any, 1);
    case 2:
      return integer(any, 2) === 1n;
    case 3:
      return Number(BigInt.asIntN(64, integer(any, 3)));
    case 4: {
      const eight = Buffer.alloc(8);
      eight.writeBigUInt64LE(integer(any, 4));
      return eight.readDoubleLE();
    }
    case 5:
      return buffers(message(any, 5), 1).map((entry) => anyValueOf(fieldsOf(entry)));
    default:
      throw new Error(`value of kind ${number}`);
  }
}

function attributesOf(fields: Fields, number: number): Attributes {
  return Object.fromEntries(
    buffers(fields, number).map((bytes) => {
      const entry = fieldsOf(bytes);
      return [text(entry, 1), anyValueOf(message(entry, 2))];
    }),
  );
}

/** Spans of an ExportTraceServiceRequest. Source: opentelemetry-proto, trace/v1. */
function spansOf(request: Buffer): ReceivedSpan[] {
  return buffers(fieldsOf(request), 1).flatMap((resourceSpans) => {
    const group = fieldsOf(resourceSpans);
    const resource = attributesOf(message(group, 1), 1);
    return buffers(group, 2).flatMap((scopeSpans) => {
      const scoped = fieldsOf(scopeSpans);
      return buffers(scoped, 2).map((bytes): ReceivedSpan => {
        const span = fieldsOf(bytes);
        const hex = (number: number): string => buffers(span, number)[0]?.toString("hex") ?? "";
        const status = message(span, 15);
        return {
          scope: text(message(scoped, 1), 1),
          resource,
          traceId: hex(1),
          spanId: hex(2),
          parentId: hex(4),
          name: text(span, 5),
          kind: Number(integer(span, 6)),
          startNs: integer(span, 7),
          endNs: integer(span, 8),
          attributes: attributesOf(span, 9),
          events: buffers(span, 11).map((event) => {
            const fields = fieldsOf(event);
            return { name: text(fields, 2), attributes: attributesOf(fields, 3) };
          }),
          status: { code: Number(integer(status, 3)), message: text(status, 2) },
        };
      });
    });
  });
}
