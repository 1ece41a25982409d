import type { HeaderMutation } from "../src/headers.ts";
import type { MetadataObject } from "../src/request.ts";
import type { ExchangeSink, ImmediateReply, RoutedRequest } from "../src/request-control/exchange-sink.ts";

/** What a sink was told, bodies as text. */
export type SinkCall =
  | { readonly call: "routed"; readonly request: RoutedRequest; readonly body: string }
  | { readonly call: "reply"; readonly reply: ImmediateReply }
  | { readonly call: "requestTrailers" }
  | { readonly call: "responseHeaders"; readonly headers: HeaderMutation }
  | {
      readonly call: "responseBody";
      readonly text: string;
      readonly endOfStream: boolean;
      readonly metadata: MetadataObject | undefined;
    }
  | { readonly call: "responseTrailers" };

const text = (slices: readonly Uint8Array[]): string => Buffer.concat(slices).toString();

/** A data plane that keeps what it is told. */
export class RecordingSink implements ExchangeSink {
  readonly calls: SinkCall[] = [];

  routed(request: RoutedRequest): void {
    this.calls.push({ call: "routed", request, body: text(request.body) });
  }

  reply(reply: ImmediateReply): void {
    this.calls.push({ call: "reply", reply });
  }

  requestTrailers(): void {
    this.calls.push({ call: "requestTrailers" });
  }

  responseHeaders(headers: HeaderMutation): void {
    this.calls.push({ call: "responseHeaders", headers });
  }

  responseBody(bytes: Uint8Array, endOfStream: boolean, metadata: MetadataObject | undefined): void {
    this.calls.push({ call: "responseBody", text: text([bytes]), endOfStream, metadata });
  }

  responseTrailers(): void {
    this.calls.push({ call: "responseTrailers" });
  }

  /** Calls of one kind, in order. */
  all<K extends SinkCall["call"]>(kind: K): readonly Extract<SinkCall, { call: K }>[] {
    return this.calls.filter((call): call is Extract<SinkCall, { call: K }> => call.call === kind);
  }

  /** The only call of a kind. */
  one<K extends SinkCall["call"]>(kind: K): Extract<SinkCall, { call: K }> {
    const [call, ...more] = this.all(kind);
    if (call === undefined || more.length > 0) throw new Error(`${more.length + (call ? 1 : 0)} calls of ${kind}`);
    return call;
  }
}
