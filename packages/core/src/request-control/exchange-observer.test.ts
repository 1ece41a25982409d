import { expect, test } from "vitest";
import { OpenExchange } from "../../test/open-exchange.ts";
import { buildEndpoint } from "../../test/testkit.ts";
import type { DecisionTrace } from "../decision/decision-record.ts";
import type { Headers } from "../headers.ts";
import type { InferenceRequest } from "../request.ts";
import type { ExchangeEnd, ExchangeObserver } from "./exchange-observer.ts";

/** An observer that notes what it hears. */
class Noted implements ExchangeObserver {
  readonly begun: Headers[] = [];
  readonly refusals: string[] = [];
  readonly ends: ExchangeEnd[] = [];

  begin(headers: Headers) {
    this.begun.push(headers);
    return {
      upstreamHeaders: () => ({ set: [["traceparent", "ours"] as const], remove: ["tracestate"] }),
      refused: ({ code, message }: { code: string; message: string }) => void this.refusals.push(`${code}: ${message}`),
      closed: (end: ExchangeEnd) => void this.ends.push(end),
    };
  }
}

test("an observer follows an exchange and changes the headers of the request that goes on", () => {
  const observer = new Noted();
  const decided: [InferenceRequest, DecisionTrace][] = [];
  const open = new OpenExchange(
    { endpoints: [buildEndpoint(0)], onDecision: (request, trace) => void decided.push([request, trace]) },
    { observer },
  );
  open.requestHeaders({ "x-request-id": "7" }).requestBody('{"model":"m"}');
  const { set, remove } = open.sink.one("routed").request.headers;
  expect(set.at(-1)).toEqual(["traceparent", "ours"]);
  expect(remove).toContain("tracestate");
  expect(
    decided.map(([request, trace]) => [request.headers === observer.begun[0], trace.requestId, trace.outcome]),
  ).toEqual([[true, "7", "routed"]]);
  open.exchange.close("client-disconnect");
  expect(observer.ends).toEqual([{ cause: "client-disconnect", modelServerError: false }]);
  expect(observer.refusals).toEqual([]);
});

test("a request without a body is followed too", () => {
  const open = new OpenExchange({ endpoints: [buildEndpoint(0)] }, { observer: new Noted() });
  open.requestHeaders({}, true);
  expect(open.sink.one("routed").request.headers.set.at(-1)).toEqual(["traceparent", "ours"]);
});

test("an observer hears why a request was refused, and of an error of the model server", () => {
  const refused = new Noted();
  const open = new OpenExchange({ endpoints: [] }, { observer: refused });
  open.requestHeaders().requestBody('{"model":"m"}');
  expect(refused.refusals).toEqual(["ServiceUnavailable: failed to find endpoint candidates for serving the request"]);
  const failing = new Noted();
  const answered = new OpenExchange({ endpoints: [buildEndpoint(0)] }, { observer: failing });
  answered.requestHeaders().requestBody('{"model":"m"}');
  answered.responseHeaders({ ":status": "500" }, true);
  answered.exchange.close("client-disconnect");
  expect(failing.ends).toEqual([{ cause: "natural", modelServerError: true }]);
});
