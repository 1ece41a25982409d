/**
 * A schema for plugin parameters: any library that implements Standard Schema and its JSON Schema companion
 * (standardschema.dev). The house library is zod.
 */
export interface ParamsSchema<P> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => ParamsOutcome<P> | Promise<ParamsOutcome<P>>;
    readonly jsonSchema: {
      readonly input: (options: { readonly target: "draft-2020-12" }) => Record<string, unknown>;
    };
  };
}

export type ParamsOutcome<P> =
  | { readonly value: P; readonly issues?: undefined }
  | { readonly issues: readonly ParamsIssue[] };

export interface ParamsIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
