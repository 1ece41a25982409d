import { failureText } from "@pointsman/pd-sidecar/shared";
import type { StepType } from "../config/coordinator-options.ts";
import type { ServiceReply } from "../gateway/service-client.ts";
import type { RequestContext } from "./request-context.ts";

/** Why a request ends without an answer of a decode server. */
export interface StepFailure {
  readonly kind: "bad-request" | "rejected" | "failed";
  /** Of the answer. */
  readonly status: number;
  /** What failed: the step, with the image's number where it has several. */
  readonly name: string;
  /** Label of a metric. */
  readonly reason: string;
  /** For the log; for the client too when its request is to blame. */
  readonly problem: string;
}

/** `undefined`: the next step is to run. */
export type StepOutcome =
  | undefined
  /** The client has its answer or has left. `reason`: label of a metric, undefined when all went well. */
  | { readonly kind: "answered"; readonly reason: string | undefined }
  | StepFailure;

/** One step of a pipeline, for all requests. */
export interface Step {
  readonly type: StepType;
  /** Rejects only for a bug. */
  run(context: RequestContext): Promise<StepOutcome>;
  stop?(): void;
}

/** The client asked for what cannot be. */
export function badRequest(name: string, problem: string, reason: string = "bad-request"): StepFailure {
  return { kind: "bad-request", status: 400, name, reason, problem };
}

/** A service is to blame. */
export function failed(name: string, reason: string, problem: string): StepFailure {
  return { kind: "failed", status: 502, name, reason, problem };
}

/** Judges the answer of a service, which has to be a 200. Missing values: undefined when it is. */
export function replyFailure(name: string, reply: ServiceReply): StepFailure | undefined {
  if (!reply.answered) return failed(name, reply.failure.kind, failureText(reply.failure));
  const { status } = reply;
  if (status === 200) return undefined;
  const problem = `status ${status}`;
  const reason = statusClass(status);
  return status >= 400 && status < 500
    ? { kind: "rejected", status, name, reason, problem }
    : failed(name, reason, problem);
}

export function statusClass(status: number): string {
  return `status_${Math.floor(status / 100)}xx`;
}
