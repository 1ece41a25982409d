import { Headers, type ResponseReader, type Usage } from "@pointsman/core";
import { GrpcFrameReader } from "@pointsman/core/grpc-frame";
import { OpenAiResponseReader } from "@pointsman/openai-parser";
import { readHttpBody } from "./http-body.ts";

/** How the messages of an answer make up what an OpenAI server would have answered. */
type Content =
  /** Pieces of an event stream. */
  | "events"
  /** Pieces of one JSON text. */
  | "pieces"
  /** One JSON text each. */
  | "texts";

const noBytes = new Uint8Array(0);
const noHeaders = new Headers();
const eventStream = "text/event-stream";
const latin1 = new TextDecoder("latin1");
const maxContentTypeBytes = 256;

/**
 * Finds the usage in the bodies that an answer's messages hold, however they are cut, and passes every byte on.
 *
 * The first body that holds anything tells what all are: an event stream by its content type; where it has none, what
 * was asked for and whether it starts like JSON.
 */
export class VertexResponseReader implements ResponseReader {
  readonly #streaming: boolean;
  readonly #frames = new GrpcFrameReader((message) => this.#read(message));
  #content: Content | undefined;
  /** Reads what lies in several messages. */
  #reader: OpenAiResponseReader | undefined;
  #textUsage: Usage | undefined;
  #texts = 0;

  /** `streaming` says that the client asked for a stream. */
  constructor(streaming: boolean) {
    this.#streaming = streaming;
  }

  get usage(): Usage | undefined {
    return this.#reader === undefined ? this.#textUsage : this.#reader.usage;
  }

  get events(): number {
    return this.#reader === undefined ? this.#texts : this.#reader.events;
  }

  get keptBytes(): number {
    return this.#frames.keptBytes + (this.#reader?.keptBytes ?? 0);
  }

  letGo(): void {
    this.#frames.letGo();
    this.#reader?.letGo();
  }

  chunk(bytes: Uint8Array, endOfStream: boolean): Uint8Array {
    this.#frames.push(bytes);
    if (endOfStream) this.#reader?.chunk(noBytes, true);
    return bytes;
  }

  #read(message: Uint8Array): void {
    const body = readHttpBody(message);
    if (typeof body === "string" || body.data.length === 0) return;
    this.#content ??= contentOf(body.contentType, body.data, this.#streaming);
    if (this.#content === "texts") {
      const reader = newReader(false);
      reader.chunk(body.data, true);
      this.#textUsage = reader.usage ?? this.#textUsage;
      this.#texts++;
      return;
    }
    this.#reader ??= newReader(this.#content === "events");
    this.#reader.chunk(body.data, false);
  }
}

function newReader(streaming: boolean): OpenAiResponseReader {
  return new OpenAiResponseReader({ headers: noHeaders, streaming, restoreModel: undefined });
}

function contentOf(contentType: Uint8Array, data: Uint8Array, streaming: boolean): Content {
  if (contentType.length > 0) {
    const type = latin1.decode(contentType.subarray(0, maxContentTypeBytes)).toLowerCase();
    if (type.includes(eventStream)) return "events";
    return streaming ? "texts" : "pieces";
  }
  if (!streaming) return "pieces";
  const first = data.find((byte) => byte > 0x20);
  return first === 0x7b || first === 0x5b ? "texts" : "events";
}
