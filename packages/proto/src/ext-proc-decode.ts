import { readStruct, type StructObject, setOwn } from "./struct-codec.ts";
import { MalformedMessage, WireReader } from "./wire-reader.ts";

/** Collects headers in order: names in lower case as Envoy sends them, values with one character per byte. */
export interface HeaderCollector {
  append(name: string, value: string): void;
}

/** The kinds of message a proxy sends, by protobuf field number. */
const kinds = [
  undefined,
  undefined,
  "requestHeaders",
  "responseHeaders",
  "requestBody",
  "responseBody",
  "requestTrailers",
  "responseTrailers",
] as const;

export type ExtProcKind = Exclude<(typeof kinds)[number], undefined>;

/** How a proxy sends bodies, and what it expects to hear of them: Envoy's `BodySendMode`, names by number. */
export const bodySendModes = [
  "NONE",
  "STREAMED",
  "BUFFERED",
  "BUFFERED_PARTIAL",
  "FULL_DUPLEX_STREAMED",
  "GRPC",
] as const;

/** Numbers of {@link bodySendModes}, or of a mode that came later. */
export interface BodyModes {
  request: number;
  response: number;
}

/** A decoded `ProcessingRequest`. One shape for all kinds; what a kind does not carry is empty. */
export interface ExtProcMessage<H> {
  /** `undefined` when the message says nothing this side knows. */
  kind: ExtProcKind | undefined;
  /** Headers or trailers; `undefined` where the message has no header map. */
  headers: H | undefined;
  /** Slice of the input. */
  body: Uint8Array;
  endOfStream: boolean;
  metadata: StructObject;
  /** In the first message of a stream; `undefined` also from a proxy that does not say. */
  bodyModes: BodyModes | undefined;
}

/** Longer metadata is decoded each time. */
const maxKnownBytes = 1024;
const noBytes = new Uint8Array(0);
const noMetadata: StructObject = Object.freeze({});

/**
 * The metadata of a stream, which a proxy sends again with each of its messages: what came before is not decoded twice.
 */
export class KnownMetadata {
  #bytes: Uint8Array = noBytes;
  #value: StructObject = noMetadata;

  /** Gives a message the metadata that these bytes said before; false when they are others. */
  read(bytes: Uint8Array, message: { metadata: StructObject }): boolean {
    const known = this.#bytes;
    const { length } = known;
    if (length === 0 || length !== bytes.length) return false;
    for (let at = 0; at < length; at++) if (known[at] !== bytes[at]) return false;
    message.metadata = this.#value;
    return true;
  }

  /** Keeps what bytes say. The value must not change any more. */
  keep(bytes: Uint8Array, value: StructObject): void {
    if (bytes.length > maxKnownBytes) return;
    this.#bytes = new Uint8Array(bytes);
    this.#value = value;
  }
}

/**
 * Decodes a `ProcessingRequest`.
 *
 * Equal to what protobuf-es decodes, unknown fields left out, except that header values are read with one character per
 * byte. `known` is what its stream keeps between messages. Returns a text that says what is wrong for malformed bytes;
 * never throws.
 */
export function decodeProcessingRequest<H extends HeaderCollector>(
  bytes: Uint8Array,
  newHeaders: () => H,
  known?: KnownMetadata,
): ExtProcMessage<H> | string {
  const message: ExtProcMessage<H> = {
    kind: undefined,
    headers: undefined,
    body: noBytes,
    endOfStream: false,
    metadata: noMetadata,
    bodyModes: undefined,
  };
  try {
    let metadataParts = 0;
    let onlyPart: Uint8Array = noBytes;
    let wasKnown = false;
    const reader = new WireReader(bytes);
    while (!reader.done) {
      const tag = reader.tag();
      const field = tag >>> 3;
      if ((tag & 7) !== 2 || field < 2 || field > 8) {
        if (tag === 90) reader.message((inner) => readBodyModes(inner, message));
        else reader.skip(tag);
        continue;
      }
      if (field === 8) {
        const part = reader.bytes();
        if (++metadataParts === 1) {
          onlyPart = part;
          wasKnown = known?.read(part, message) ?? false;
          if (wasKnown) continue;
        } else if (wasKnown && metadataParts === 2) message.metadata = { ...message.metadata };
        readMetadata(new WireReader(part), message);
        continue;
      }
      const kind = kinds[field]!;
      if (message.kind !== kind) {
        // The last member of a oneof wins; a repeat of the same one is merged.
        message.kind = kind;
        message.headers = undefined;
        message.body = noBytes;
        message.endOfStream = false;
      }
      if (field <= 3) reader.message((inner) => readHttpHeaders(inner, message, newHeaders));
      else if (field <= 5) reader.message((inner) => readHttpBody(inner, message));
      else reader.message((inner) => readTrailers(inner, message, newHeaders));
    }
    if (metadataParts === 1 && !wasKnown) known?.keep(onlyPart, message.metadata);
    return message;
  } catch (thrown: unknown) {
    if (thrown instanceof MalformedMessage) return thrown.message;
    // The text decoder's complaint about invalid UTF-8.
    if (thrown instanceof TypeError) return "string is not valid UTF-8";
    throw thrown;
  }
}

function readHttpHeaders<H extends HeaderCollector>(
  reader: WireReader,
  message: ExtProcMessage<H>,
  newHeaders: () => H,
): void {
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 10) readHeaderMap(reader, message, newHeaders);
    else if (tag === 24) message.endOfStream = reader.bool();
    else reader.skip(tag);
  }
}

function readTrailers<H extends HeaderCollector>(
  reader: WireReader,
  message: ExtProcMessage<H>,
  newHeaders: () => H,
): void {
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 10) readHeaderMap(reader, message, newHeaders);
    else reader.skip(tag);
  }
}

function readHeaderMap<H extends HeaderCollector>(
  reader: WireReader,
  message: ExtProcMessage<H>,
  newHeaders: () => H,
): void {
  message.headers ??= newHeaders();
  const { headers } = message;
  reader.message((map) => {
    while (!map.done) {
      const tag = map.tag();
      if (tag !== 10) {
        map.skip(tag);
        continue;
      }
      let key = "";
      let value = "";
      let raw = "";
      map.message((header) => {
        while (!header.done) {
          const headerTag = header.tag();
          if (headerTag === 10) key = header.latin1();
          else if (headerTag === 18) value = header.latin1();
          else if (headerTag === 26) raw = header.latin1();
          else header.skip(headerTag);
        }
      });
      headers.append(key, raw === "" ? value : raw);
    }
  });
}

function readHttpBody<H>(reader: WireReader, message: ExtProcMessage<H>): void {
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 10) message.body = reader.bytes();
    else if (tag === 16) message.endOfStream = reader.bool();
    else reader.skip(tag);
  }
}

function readBodyModes<H>(reader: WireReader, message: ExtProcMessage<H>): void {
  message.bodyModes ??= { request: 0, response: 0 };
  const { bodyModes } = message;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 8) bodyModes.request = reader.uint32() | 0;
    else if (tag === 16) bodyModes.response = reader.uint32() | 0;
    else reader.skip(tag);
  }
}

function readMetadata<H>(reader: WireReader, message: ExtProcMessage<H>): void {
  // What is not the common empty object was made here: a repeated field goes on with it.
  const metadata: Record<string, StructObject> =
    message.metadata === noMetadata ? {} : (message.metadata as Record<string, StructObject>);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 10) {
      reader.skip(tag);
      continue;
    }
    let key = "";
    let value: StructObject = {};
    reader.message((entry) => {
      while (!entry.done) {
        const entryTag = entry.tag();
        if (entryTag === 10) key = entry.string();
        else if (entryTag === 18) {
          entry.message((inner) => {
            value = readStruct(inner);
          });
        } else entry.skip(entryTag);
      }
    });
    setOwn(metadata, key, value);
  }
  message.metadata = metadata;
}
