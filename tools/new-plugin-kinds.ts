/** What a kind of plugin means for the package around it. */
export interface NewPluginKind {
  /** Folder below `packages`. */
  readonly folder: string;
  /** How the names of such plugins end. */
  readonly endings: readonly string[];
}

/** The kinds that `tools/new-plugin` writes, each with a template in `tools/new-plugin-templates`. */
export const newPluginKinds: Readonly<Record<string, NewPluginKind>> = {
  filter: { folder: "filters", endings: ["-filter"] },
  scorer: { folder: "scorers", endings: ["-scorer"] },
  picker: { folder: "pickers", endings: ["-picker"] },
  "profile-handler": { folder: "profile-handlers", endings: ["-profile-handler"] },
  screener: { folder: "screeners", endings: ["-screener"] },
  producer: { folder: "producers", endings: ["-producer"] },
  admitter: { folder: "admitters", endings: ["-admitter"] },
  parser: { folder: "parsers", endings: ["-parser"] },
  decider: { folder: "deciders", endings: ["-decider"] },
  extractor: { folder: "extractors", endings: ["-extractor"] },
  source: { folder: "sources", endings: ["-source"] },
  "saturation-detector": { folder: "saturation-detectors", endings: ["-detector"] },
  "response-processor": {
    folder: "response-processors",
    endings: ["-response-processor", "-reporter", "-verifier"],
  },
};
