import { z } from "zod";

/** Which header names the profile, and which profile runs without it. */
export interface HeaderProfileHandlerParams {
  /** Lower case. */
  readonly headerName: string;
  readonly defaultProfile: string;
}

/** White space around a value is dropped; a blank one counts as not given. */
const textOr = (standard: string): z.ZodType<string, string | undefined> =>
  z
    .string()
    .default(standard)
    .transform((text) => text.trim() || standard);

export const headerProfileHandlerParams: z.ZodType<HeaderProfileHandlerParams> = z
  .strictObject({
    headerName: textOr("epp-profile").describe(
      "Request header that names the profile; upper and lower case are alike.",
    ),
    defaultProfile: textOr("decode").describe("Profile that runs when the header is absent or blank."),
  })
  .transform(({ headerName, defaultProfile }) => ({ headerName: headerName.toLowerCase(), defaultProfile }));
