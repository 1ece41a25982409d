import { z } from "zod";

/** Where the session stands: exactly one of the two. */
export type SessionIdParams =
  /** In lower case. */
  { readonly headerName: string } | { readonly cookieName: string };

const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** White space around a name is dropped; a blank one counts as not given. */
const name = (of: string) =>
  z
    .string()
    .trim()
    .refine((text) => text === "" || tokenPattern.test(text), `must be the name of a ${of}`)
    .optional();

export const sessionIdParams: z.ZodType<SessionIdParams> = z
  .strictObject({
    headerName: name("header").describe("Header that holds the session; upper and lower case are the same."),
    cookieName: name("cookie").describe("Cookie that holds the session; upper and lower case differ."),
  })
  .transform(({ headerName = "", cookieName = "" }, context): SessionIdParams => {
    if (headerName !== "" && cookieName === "") return { headerName: headerName.toLowerCase() };
    if (cookieName !== "" && headerName === "") return { cookieName };
    const given = headerName === "" ? "none" : "both";
    context.addIssue({ code: "custom", message: `needs exactly one of headerName and cookieName, not ${given}` });
    return z.NEVER;
  });
