import { type AnyPluginDefinition, definePlugin, RequestError } from "@pointsman/core";

const nothingToRun: readonly string[] = [];

export const exampleProfileHandler: AnyPluginDefinition = definePlugin({
  type: "example-profile-handler",
  kind: "profile-handler",
  stability: "beta",
  summary: "Runs the profiles in their order until one finds an endpoint.",
  create: () => ({
    pickProfiles(_request, profiles, results) {
      for (const name of profiles) {
        const result = results.get(name);
        if (result === undefined) return [name];
        if (!(result instanceof RequestError)) return nothingToRun;
      }
      return nothingToRun;
    },
    processResults(_request, results) {
      let failure = new RequestError("Internal", "no scheduling profile ran");
      for (const [name, result] of results) {
        if (!(result instanceof RequestError)) return { primaryProfile: name, profiles: new Map([[name, result]]) };
        failure = result;
      }
      return failure;
    },
    checkProfiles: (profiles) =>
      profiles.length === 0 ? "example-profile-handler needs at least one scheduling profile" : undefined,
  }),
});
