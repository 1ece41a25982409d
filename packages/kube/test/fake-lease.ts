import type { IncomingMessage, ServerResponse } from "node:http";
import { answer, type FakeApi, status } from "./fake-api.ts";

type Lease = { metadata: Record<string, unknown>; spec: Record<string, unknown> };

/** A Lease with the API server's check of versions. */
export class FakeLease {
  current: Lease | undefined;
  #version = 1;
  /** Requests get no answer. */
  hangs = false;
  /** Writes are taken in and get no answer. */
  silentWrites = false;
  /** Requests get this status. */
  refusal: number | undefined;
  writes = 0;

  constructor(api: FakeApi) {
    api.intercept = (request, response) => {
      if (!(request.url ?? "").includes("/leases")) return undefined;
      this.#serve(request, response);
      return "done";
    };
  }

  get holder(): string | undefined {
    const holder = this.current?.spec["holderIdentity"];
    return typeof holder === "string" ? holder : undefined;
  }

  set(spec: Record<string, unknown>): void {
    this.current = { metadata: { name: "lease", resourceVersion: String(++this.#version) }, spec };
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (this.hangs) return;
    if (this.refusal !== undefined) {
      answer(response, this.refusal, status(this.refusal, "Refused", "refused"));
      return;
    }
    if (request.method === "GET") {
      if (this.current === undefined) answer(response, 404, status(404, "NotFound", "no lease"));
      else answer(response, 200, this.current);
      return;
    }
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Lease;
      const conflict =
        request.method === "POST"
          ? this.current !== undefined
          : body.metadata["resourceVersion"] !== this.current?.metadata["resourceVersion"];
      if (conflict) {
        answer(response, 409, status(409, "Conflict", "the object has been modified"));
        return;
      }
      this.writes++;
      this.set(body.spec);
      if (this.silentWrites) return;
      answer(response, 200, this.current);
    });
  }
}
