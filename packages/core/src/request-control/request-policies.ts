/** An InferenceObjective: what requests that name it are worth. */
export interface InferenceObjective {
  readonly name: string;
  /** Higher goes first, below 0 may be shed; `undefined`: not stated, which counts as 0. */
  readonly priority: number | undefined;
}

/** A model that a rewrite rule may choose. */
export interface RewriteTarget {
  readonly model: string;
  /** 1 to 1000000; `undefined`: not stated. */
  readonly weight: number | undefined;
}

/** One rule of a rewrite. */
export interface RewriteRule {
  /** The model names it applies to; `undefined`: all of them, and requests without one. */
  readonly models: readonly string[] | undefined;
  /** Without one, requests that the rule applies to are refused. */
  readonly targets: readonly RewriteTarget[];
}

/** An InferenceModelRewrite: rules that send requests for one model to others. */
export interface InferenceModelRewrite {
  readonly name: string;
  /** Milliseconds since 1970; rules of the older object go first. `undefined`: before all that state a time. */
  readonly createdAtMs: number | undefined;
  /** Place in the list it comes from, which decides between objects of one age; after it the name does. */
  readonly position?: number;
  /** In the object's order, which decides between its rules. */
  readonly rules: readonly RewriteRule[];
}

/** Receives the objectives and rewrites that a discovery plugin finds. Each call replaces all of its kind. */
export interface RequestPolicySink {
  setObjectives(objectives: readonly InferenceObjective[]): void;
  setModelRewrites(rewrites: readonly InferenceModelRewrite[]): void;
}
