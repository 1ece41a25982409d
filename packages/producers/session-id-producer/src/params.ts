import { z } from "zod";

/** Where the session stands: exactly one of the two. */
export type SessionIdParams =
  /** In lower case. */
  { readonly headerName: string } | { readonly cookieName: string };

const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export const sessionIdParams: z.ZodType<SessionIdParams> = z
  .strictObject({
    headerName: z
      .string()
      .regex(tokenPattern, "must be the name of a header")
      .toLowerCase()
      .optional()
      .describe("Header that holds the session; upper and lower case are the same."),
    cookieName: z
      .string()
      .regex(tokenPattern, "must be the name of a cookie")
      .optional()
      .describe("Cookie that holds the session; upper and lower case differ."),
  })
  .transform(({ headerName, cookieName }, context): SessionIdParams => {
    if (headerName !== undefined && cookieName === undefined) return { headerName };
    if (cookieName !== undefined && headerName === undefined) return { cookieName };
    const given = headerName === undefined ? "none" : "both";
    context.addIssue({ code: "custom", message: `needs exactly one of headerName and cookieName, not ${given}` });
    return z.NEVER;
  });
