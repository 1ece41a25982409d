import { headerText } from "../headers.ts";
import type { InferenceRequest } from "../request.ts";
import { RequestError } from "../request-error.ts";
import { aliasedHeaders } from "../wire-names.ts";

/** A target chosen by a rewrite rule. */
export interface RewriteChoice {
  /** Name of the rewrite object, for metrics. */
  readonly rewrite: string;
  readonly targetModel: string;
}

/** Knows the rewrite rules. */
export interface ModelRewrites {
  /** The rule's choice for a model name (possibly empty), `undefined` when no rule applies. */
  choose(incomingModel: string): RewriteChoice | undefined;
  /** Whether a rule names this model, as what it applies to or as a target; nothing is known where absent. */
  names?(model: string): boolean;
  /** There are no rules at this moment; not known where absent. */
  readonly isEmpty?: boolean;
}

/** Knows the priorities of objectives. */
export interface Objectives {
  priorityOf(objective: string): number | undefined;
}

/**
 * Sets `request.targetModel`: the body's model, over it the rewrite header, over both a rewrite rule.
 *
 * Bodies without a model name to change keep theirs, and the header's value serves as the scheduling target only.
 */
export function applyModelRewrite(
  request: InferenceRequest,
  rewrites: ModelRewrites | undefined,
): RequestError | undefined {
  const header = request.headers.getAliased(aliasedHeaders.modelRewrite);
  if (header !== undefined && header !== "") request.targetModel = headerText(header);
  if (request.body.rewriteModel === undefined) return undefined;
  const choice = rewrites?.choose(request.incomingModel);
  if (choice !== undefined) request.targetModel = choice.targetModel;
  return request.targetModel === "" ? new RequestError("BadRequest", "model not found in request body") : undefined;
}
