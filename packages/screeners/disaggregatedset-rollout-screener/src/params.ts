import { z } from "zod";
import { parseLabelSelector } from "./label-selector.ts";

/** A request header and the endpoint label it is about. */
export interface HeaderSelector {
  readonly name: string;
  /** Lower case. */
  readonly headerName: string;
  readonly labelKey: string;
  readonly mode: "strict" | "prefer";
}

/** How revisions are weighed against each other, or that they are not. */
export type GatingMode = "sum" | "max-role" | "disabled";

/** Which Pods count, which headers select, and how revisions share the requests. */
export interface RolloutScreenerParams {
  /** Selects the Pods that count, in the string form of Kubernetes. */
  readonly scope: string;
  readonly headerSelectors: readonly HeaderSelector[];
  readonly gating: {
    readonly mode: GatingMode;
    readonly revisionLabelKey: string;
    readonly roleLabelKey: string;
    /** At least one, unless the mode is `disabled`. */
    readonly requiredRoles: readonly string[];
  };
}

const revisionLabel = "disaggregatedset.x-k8s.io/revision";
const roleLabel = "disaggregatedset.x-k8s.io/role";

const stated = z.string().min(1);

/** An empty value counts as not given. */
const labelKeyOr = (standard: string): z.ZodType<string, string | undefined> =>
  z
    .string()
    .default(standard)
    .transform((key) => (key === "" ? standard : key));

const headerSelector = z.strictObject({
  name: stated.describe("Name of the selector, as metric label."),
  headerName: stated
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "is no header name")
    .transform((name) => name.toLowerCase())
    .describe("Request header with the wanted label value; the answer gets it with the serving endpoint's."),
  labelKey: stated.describe("Label of endpoints that the header is about."),
  mode: z.enum(["strict", "prefer"]).describe("`strict` keeps endpoints with the header's value; `prefer` keeps all."),
});

export const rolloutScreenerParams: z.ZodType<RolloutScreenerParams> = z
  .strictObject({
    scope: z
      .strictObject({
        labelSelector: stated
          .superRefine((text, context) => {
            const selector = parseLabelSelector(text);
            if (typeof selector === "string") context.addIssue(selector);
          })
          .describe("Label selector of the Pods that count, such as `app=x,tier in (a,b)`."),
      })
      .describe("Pods that count."),
    headerSelectors: z
      .array(headerSelector)
      .superRefine((selectors, context) => {
        for (const [index, { name, headerName }] of selectors.entries()) {
          const before = selectors.slice(0, index);
          const add = (field: string, text: string): void =>
            context.addIssue({ code: "custom", message: `${text} stands in another selector`, path: [index, field] });
          if (before.some((other) => other.name === name)) add("name", JSON.stringify(name));
          if (before.some((other) => other.headerName === headerName)) add("headerName", JSON.stringify(headerName));
        }
      })
      .prefault([])
      .describe("Headers that select endpoints by a label."),
    revisionGating: z
      .strictObject({
        mode: z
          .enum(["sum", "max-role", "disabled"])
          .describe("Weight of a revision: Pods of all required roles, Pods of the largest role, or no gating."),
        revisionLabelKey: labelKeyOr(revisionLabel).describe("Label with the revision of a Pod and an endpoint."),
        roleLabelKey: labelKeyOr(roleLabel).describe("Label with the role of a Pod."),
        requireRoles: z
          .strictObject({
            values: z
              .array(stated)
              .default([])
              .superRefine((roles, context) => {
                for (const [index, role] of roles.entries()) {
                  if (roles.indexOf(role) === index) continue;
                  const message = `role ${JSON.stringify(role)} is listed twice`;
                  context.addIssue({ code: "custom", message, path: [index] });
                }
              })
              .describe("Roles; the first listed wins between roles of equal size."),
          })
          .optional()
          .describe("Roles of which a revision needs a Ready Pod each. Needed unless the mode is `disabled`."),
      })
      .superRefine(({ mode, requireRoles }, context) => {
        if (mode === "disabled" || (requireRoles?.values.length ?? 0) > 0) return;
        const message = `mode ${mode} needs at least one role in requireRoles.values`;
        context.addIssue({ code: "custom", message, path: ["requireRoles"] });
      })
      .describe("Keeps a request on one revision that has all roles."),
  })
  .transform(({ scope, headerSelectors, revisionGating: { requireRoles, ...gating } }) => ({
    scope: scope.labelSelector,
    headerSelectors,
    gating: { ...gating, requiredRoles: requireRoles?.values ?? [] },
  }));
