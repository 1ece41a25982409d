import {
  type AnyPluginDefinition,
  definePlugin,
  type ProfileResults,
  RequestError,
  type SchedulingResult,
} from "@pointsman/core";
import { type HeaderProfileHandlerParams, headerProfileHandlerParams } from "./params.ts";

const nothingToRun: readonly string[] = [];
const maxQuotedChars = 64;

/** What the one profile that ran came to: its result as the primary one, or its error. */
export function decisionOf(results: ProfileResults): SchedulingResult | RequestError {
  for (const [name, result] of results) {
    if (result instanceof RequestError) return result;
    return { primaryProfile: name, profiles: new Map([[name, result]]) };
  }
  return new RequestError("Internal", "no scheduling profile ran");
}

/** The profile a header value asks for, or why there is none. With one profile there is nothing to choose. */
export function profileFor(
  value: string | undefined,
  profiles: readonly string[],
  { headerName, defaultProfile }: HeaderProfileHandlerParams,
): string | RequestError {
  const [only] = profiles;
  if (profiles.length === 1 && only !== undefined) return only;
  const asked = value?.trim() ?? "";
  const name = asked === "" ? defaultProfile : asked;
  if (profiles.includes(name)) return name;
  const problem =
    asked === ""
      ? `header ${headerName} is missing, and there is no default scheduling profile`
      : `header ${headerName} names the scheduling profile ${quoted(asked)}, which does not exist`;
  return new RequestError("BadRequest", problem);
}

function quoted(text: string): string {
  return JSON.stringify(text.length > maxQuotedChars ? `${text.slice(0, maxQuotedChars)}…` : text);
}

export const headerProfileHandler: AnyPluginDefinition = definePlugin<HeaderProfileHandlerParams>({
  type: "header-profile-handler",
  kind: "profile-handler",
  stability: "alpha",
  summary: "Runs the scheduling profile that a request header names.",
  params: headerProfileHandlerParams,
  create: (params) => ({
    pickProfiles(request, profiles, results) {
      if (results.size > 0) return nothingToRun;
      const profile = profileFor(request.headers.get(params.headerName), profiles, params);
      // The one way to end a request before a profile ran.
      if (profile instanceof RequestError) throw profile;
      return [profile];
    },
    processResults: (_request, results) => decisionOf(results),
    checkProfiles: (profiles) =>
      profiles.length > 0 ? undefined : "header-profile-handler needs at least one scheduling profile; there is none",
  }),
});
