/** Stable name of a kind of problem. */
export type ProblemCode =
  | "EPP_CONFIG_TOO_LARGE"
  | "EPP_CONFIG_SYNTAX"
  | "EPP_CONFIG_ALIAS"
  | "EPP_CONFIG_BAD_KEY"
  | "EPP_CONFIG_MULTIPLE_DOCUMENTS"
  | "EPP_CONFIG_EMPTY"
  | "EPP_CONFIG_TOO_MANY_PROBLEMS"
  | "EPP_CONFIG_DUPLICATE_FIELD"
  | "EPP_CONFIG_UNKNOWN_FIELD"
  | "EPP_CONFIG_WRONG_TYPE"
  | "EPP_CONFIG_BAD_VALUE"
  | "EPP_CONFIG_MISSING_VALUE"
  | "EPP_CONFIG_API_VERSION"
  | "EPP_CONFIG_DEPRECATED_API_VERSION"
  | "EPP_CONFIG_DEPRECATED_FIELD"
  | "EPP_CONFIG_IGNORED_FIELD"
  | "EPP_CONFIG_UNAVAILABLE"
  | "EPP_CONFIG_UNKNOWN_FEATURE_GATE"
  | "EPP_CONFIG_DUPLICATE_NAME"
  | "EPP_CONFIG_NAME_TAKEN"
  | "EPP_CONFIG_UNKNOWN_TYPE"
  | "EPP_CONFIG_NOT_INSTALLED"
  | "EPP_CONFIG_DEFAULT_NOT_INSTALLED"
  | "EPP_CONFIG_BROKEN_PLUGIN"
  | "EPP_CONFIG_DEPRECATED_TYPE"
  | "EPP_CONFIG_EXPERIMENTAL"
  | "EPP_CONFIG_UNKNOWN_PARAM"
  | "EPP_CONFIG_BAD_PARAM"
  | "EPP_CONFIG_MISSING_PARAM"
  | "EPP_CONFIG_PARAM_CASE"
  | "EPP_CONFIG_PARAMS_IGNORED"
  | "EPP_CONFIG_CREATE_FAILED"
  | "EPP_CONFIG_UNUSED_PLUGIN"
  | "EPP_CONFIG_UNDEFINED_REF"
  | "EPP_CONFIG_REF_CYCLE"
  | "EPP_CONFIG_WRONG_ROLE"
  | "EPP_CONFIG_REF_IGNORED"
  | "EPP_CONFIG_REPEATED_REF"
  | "EPP_CONFIG_DUPLICATE_PROFILE"
  | "EPP_CONFIG_TWO_PICKERS"
  | "EPP_CONFIG_PICKER_CHOSEN"
  | "EPP_CONFIG_WEIGHT_IGNORED"
  | "EPP_CONFIG_NO_PROFILE_HANDLER"
  | "EPP_CONFIG_TWO_PROFILE_HANDLERS"
  | "EPP_CONFIG_PROFILES_REFUSED"
  | "EPP_CONFIG_UNREACHED_PARSER"
  | "EPP_CONFIG_DUPLICATE_SOURCE"
  | "EPP_CONFIG_DUPLICATE_EXTRACTOR"
  | "EPP_CONFIG_PAYLOAD_MISMATCH"
  | "EPP_CONFIG_SOURCE_UNREAD"
  | "EPP_CONFIG_MISSING_PRODUCER"
  | "EPP_CONFIG_SECOND_PRODUCER"
  | "EPP_CONFIG_DATA_TOO_LATE"
  | "EPP_CONFIG_DATA_CYCLE"
  | "EPP_CONFIG_DATA_CYCLE_BROKEN";

export type ProblemSeverity = "error" | "warning";

/** What a code means, whatever the file. */
export interface ProblemExplanation {
  readonly severity: ProblemSeverity;
  /** What the problem is, a noun phrase. */
  readonly title: string;
  readonly cause: string;
  readonly fix: string;
}

/** Every code with its explanation, in the order of the documentation. */
export const problemCatalog: Readonly<Record<ProblemCode, ProblemExplanation>> = {
  EPP_CONFIG_TOO_LARGE: {
    severity: "error",
    title: "Document beyond the bounds",
    cause:
      "The text is larger than 1 MiB, holds one very long value, nests too deeply, or unfolds to too many values through aliases.",
    fix: "Split or shorten it. The message names the bound.",
  },
  EPP_CONFIG_SYNTAX: {
    severity: "error",
    title: "Invalid YAML",
    cause: "The text is neither YAML nor JSON, or uses a tag that configuration files do not have.",
    fix: "Correct the place the message names. Nothing else is checked until the text can be read.",
  },
  EPP_CONFIG_ALIAS: {
    severity: "error",
    title: "Alias or merge key that cannot be resolved",
    cause: 'A "*name" has no "&name" before it or contains itself, or "<<" stands before something that is no map.',
    fix: "Define the anchor before its first use, or write the value out.",
  },
  EPP_CONFIG_BAD_KEY: {
    severity: "error",
    title: "Unusable key",
    cause: 'A key of a map is a list, a map, an alias, or "__proto__".',
    fix: "Use a plain text as key.",
  },
  EPP_CONFIG_MULTIPLE_DOCUMENTS: {
    severity: "error",
    title: "More than one document",
    cause: 'The text holds several documents with content, separated by "---".',
    fix: "Keep one.",
  },
  EPP_CONFIG_EMPTY: {
    severity: "error",
    title: "No content",
    cause:
      "The configuration consists of white space and comments. A file of zero bytes, or none, means the built-in configuration.",
    fix: 'Give at least "kind: EndpointPickerConfig", or leave the configuration out.',
  },
  EPP_CONFIG_TOO_MANY_PROBLEMS: {
    severity: "warning",
    title: "Report cut short",
    cause: "More problems were found than a report shows.",
    fix: "Correct those that are shown and check again.",
  },
  EPP_CONFIG_DUPLICATE_FIELD: {
    severity: "error",
    title: "Key given twice",
    cause: "One map has the same key twice, or a parameter is given in two spellings that differ in case.",
    fix: "Keep one of both.",
  },
  EPP_CONFIG_UNKNOWN_FIELD: {
    severity: "error",
    title: "Unknown field",
    cause: "A field outside of plugin parameters does not exist. Upper and lower case differ here.",
    fix: "Use the nearest name of the message, or one of its list.",
  },
  EPP_CONFIG_WRONG_TYPE: {
    severity: "error",
    title: "Value of another type",
    cause: "A field holds, for example, a number where a text is expected. Nothing is converted.",
    fix: "Write a value of the expected type; put quotes around a text that looks like a number or a boolean.",
  },
  EPP_CONFIG_BAD_VALUE: {
    severity: "error",
    title: "Value out of range",
    cause: "The type is right and the value is not: no duration or quantity, negative, given before.",
    fix: "Choose a value the message allows.",
  },
  EPP_CONFIG_MISSING_VALUE: {
    severity: "error",
    title: "Required field missing or empty",
    cause: "A plugin without type, a profile without name, a reference without target.",
    fix: "Give the field.",
  },
  EPP_CONFIG_API_VERSION: {
    severity: "error",
    title: "Unknown apiVersion or kind",
    cause: "The document says that it is something else than an EndpointPickerConfig of a known version.",
    fix: 'Use "apiVersion: llm-d.ai/v1alpha1" and "kind: EndpointPickerConfig".',
  },
  EPP_CONFIG_DEPRECATED_API_VERSION: {
    severity: "warning",
    title: "Former API group",
    cause: "The document names the group by its former name. It is read all the same.",
    fix: 'Use "apiVersion: llm-d.ai/v1alpha1".',
  },
  EPP_CONFIG_DEPRECATED_FIELD: {
    severity: "warning",
    title: "Former field",
    cause: "A field has moved. It is read as long as the field in its new place says nothing.",
    fix: "Move the value to the field that the message names.",
  },
  EPP_CONFIG_IGNORED_FIELD: {
    severity: "warning",
    title: "Field without effect",
    cause: "What the field asks for does nothing in this configuration.",
    fix: "Remove it, or switch on what it belongs to.",
  },
  EPP_CONFIG_UNAVAILABLE: {
    severity: "error",
    title: "Feature that is not part of this version",
    cause:
      "The configuration relies on a feature that does not exist here; starting without it would change what the pool does.",
    fix: "Remove what asks for it.",
  },
  EPP_CONFIG_UNKNOWN_FEATURE_GATE: {
    severity: "error",
    title: "Unknown feature gate, or a value that is no boolean",
    cause: 'An entry of featureGates is not "name", "name=true" or "name=false" with a known name.',
    fix: "Use one of the gates of the message.",
  },
  EPP_CONFIG_DUPLICATE_NAME: {
    severity: "error",
    title: "Two plugins of one name",
    cause: "Two entries of plugins have the same name. Without a name, the type is the name.",
    fix: "Give one of them another name and use it where it is referred to.",
  },
  EPP_CONFIG_NAME_TAKEN: {
    severity: "error",
    title: "Name of a default plugin taken",
    cause: "A plugin has to be added by default, and another plugin has its name.",
    fix: "Rename the plugin of the message, or declare the default plugin under a name of your own.",
  },
  EPP_CONFIG_UNKNOWN_TYPE: {
    severity: "error",
    title: "Unknown plugin type",
    cause: "No package is known for the type.",
    fix: "Use the nearest type of the message. A plugin of your own is named by its package: \"type: '@acme/my-scorer'\".",
  },
  EPP_CONFIG_NOT_INSTALLED: {
    severity: "error",
    title: "Plugin package not installed",
    cause: "The type is known, and the package that carries it is not installed.",
    fix: "Install the package of the message.",
  },
  EPP_CONFIG_DEFAULT_NOT_INSTALLED: {
    severity: "warning",
    title: "Default plugin not installed",
    cause: "A plugin that is added unless the configuration names another is not installed, so it is left out.",
    fix: "Install its package, or name the plugins to use in the field of the message.",
  },
  EPP_CONFIG_BROKEN_PLUGIN: {
    severity: "error",
    title: "Plugin that cannot be loaded",
    cause:
      "The package is there, and importing it fails, or what it exports is no plugin or of an unknown kind, or its declarations throw.",
    fix: "Read the text of the failure. Check that the package and the picker belong to the same release.",
  },
  EPP_CONFIG_DEPRECATED_TYPE: {
    severity: "warning",
    title: "Former plugin type",
    cause: "The type has another name. The former one works until the release that its package names.",
    fix: "Use the name of the message. References by name stay valid if the entry keeps its name.",
  },
  EPP_CONFIG_EXPERIMENTAL: {
    severity: "error",
    title: "Experimental plugin",
    cause: "The plugin is of stability alpha: parameters and behaviour may change in any release.",
    fix: "Start with --allow-experimental-plugins to accept that.",
  },
  EPP_CONFIG_UNKNOWN_PARAM: {
    severity: "error",
    title: "Unknown plugin parameter",
    cause: "The plugin has no parameter of this name.",
    fix: "Use the nearest name of the message, or one of its list.",
  },
  EPP_CONFIG_BAD_PARAM: {
    severity: "error",
    title: "Plugin parameter with a wrong value",
    cause: "The plugin refuses the value.",
    fix: "Choose a value the message allows.",
  },
  EPP_CONFIG_MISSING_PARAM: {
    severity: "error",
    title: "Required plugin parameter missing",
    cause: "The plugin cannot work without the parameter and has no default for it.",
    fix: "Give the parameter.",
  },
  EPP_CONFIG_PARAM_CASE: {
    severity: "warning",
    title: "Plugin parameter in other case",
    cause: "The name of a parameter differs from the right one in upper and lower case only. It is read all the same.",
    fix: "Use the spelling of the message.",
  },
  EPP_CONFIG_PARAMS_IGNORED: {
    severity: "warning",
    title: "Parameters without effect",
    cause: "Parameters are given to a plugin that has none.",
    fix: "Remove them. Check whether another type was meant.",
  },
  EPP_CONFIG_CREATE_FAILED: {
    severity: "error",
    title: "Plugin that does not start",
    cause:
      "The parameters are valid, and the plugin refuses to start with them, or what it creates is no plugin of its kind.",
    fix: "Read the text of the failure.",
  },
  EPP_CONFIG_UNUSED_PLUGIN: {
    severity: "warning",
    title: "Plugin without use",
    cause: "The plugin acts only where something refers to it, and nothing does.",
    fix: "Refer to it, or remove it.",
  },
  EPP_CONFIG_UNDEFINED_REF: {
    severity: "error",
    title: "Reference to an undeclared plugin",
    cause: "No entry of plugins has this name. References use names, which are types only where no name is given.",
    fix: "Declare the plugin, or use the nearest name of the message.",
  },
  EPP_CONFIG_REF_CYCLE: {
    severity: "error",
    title: "Plugins that refer to each other in a circle",
    cause: "Each plugin of the circle would have to be created before the others.",
    fix: "Remove one of the references.",
  },
  EPP_CONFIG_WRONG_ROLE: {
    severity: "error",
    title: "Plugin in a place it cannot fill",
    cause: "A reference names a plugin that does not do what the place asks for, so it would do nothing.",
    fix: "Refer to a plugin of the kind that the message names.",
  },
  EPP_CONFIG_REF_IGNORED: {
    severity: "warning",
    title: "Reference in a profile without effect",
    cause: "A profile lists a plugin that is no filter, scorer or picker. Other plugins act without being listed.",
    fix: "Remove the reference. Check whether another plugin was meant.",
  },
  EPP_CONFIG_REPEATED_REF: {
    severity: "warning",
    title: "Plugin listed twice in a profile",
    cause: "A filter that is listed twice runs twice; a scorer that is listed twice counts twice.",
    fix: "Remove one entry; to count a scorer more, raise its weight.",
  },
  EPP_CONFIG_DUPLICATE_PROFILE: {
    severity: "error",
    title: "Two profiles of one name",
    cause: "Two entries of schedulingProfiles have the same name.",
    fix: "Rename one.",
  },
  EPP_CONFIG_TWO_PICKERS: {
    severity: "error",
    title: "Two pickers in one profile",
    cause: "A profile has one picker, which makes the choice.",
    fix: "Remove one. Without schedulingProfiles, all declared plugins form one profile: state the profile to leave one out.",
  },
  EPP_CONFIG_PICKER_CHOSEN: {
    severity: "warning",
    title: "Picker not stated",
    cause: "Several pickers are declared and a profile names none: it gets the first one declared.",
    fix: "Name the picker in the profile.",
  },
  EPP_CONFIG_WEIGHT_IGNORED: {
    severity: "warning",
    title: "Weight without effect",
    cause: "A weight stands at a plugin that is no scorer.",
    fix: "Remove the weight.",
  },
  EPP_CONFIG_NO_PROFILE_HANDLER: {
    severity: "error",
    title: "Profile handler missing",
    cause: "There are several profiles, and no plugin decides which of them run.",
    fix: "Declare a profile handler in plugins.",
  },
  EPP_CONFIG_TWO_PROFILE_HANDLERS: {
    severity: "error",
    title: "Two profile handlers",
    cause: "One plugin decides which profiles run; two are declared.",
    fix: "Remove one.",
  },
  EPP_CONFIG_PROFILES_REFUSED: {
    severity: "error",
    title: "Profiles that do not fit their handler",
    cause: "The profile handler expects other profiles: other names or another number.",
    fix: "Rename, add or remove profiles as the message says, or configure the handler.",
  },
  EPP_CONFIG_UNREACHED_PARSER: {
    severity: "warning",
    title: "Parser that never gets a request",
    cause: "A parser before it takes all requests that no other parser claims, or is of the same type.",
    fix: "Move it up, or remove it.",
  },
  EPP_CONFIG_DUPLICATE_SOURCE: {
    severity: "error",
    title: "Data source listed twice",
    cause: "Two entries of dataLayer.sources refer to one plugin.",
    fix: "Put all extractors into one entry.",
  },
  EPP_CONFIG_DUPLICATE_EXTRACTOR: {
    severity: "error",
    title: "Two extractors of one type on one source",
    cause: "Both would write the same data from the same pages.",
    fix: "Remove one.",
  },
  EPP_CONFIG_PAYLOAD_MISMATCH: {
    severity: "error",
    title: "Extractor that cannot read its source",
    cause: "The source delivers another kind of data than the extractor reads.",
    fix: "Put the extractor under a source of its kind.",
  },
  EPP_CONFIG_SOURCE_UNREAD: {
    severity: "warning",
    title: "Data source without extractors",
    cause: "What the source fetches is read by nobody.",
    fix: "List extractors for it, or remove it.",
  },
  EPP_CONFIG_MISSING_PRODUCER: {
    severity: "error",
    title: "Data that nobody produces",
    cause: "A plugin requires data that no plugin of this configuration writes, and no default producer exists for it.",
    fix: "Declare the producer of the message. In an entry of dataLayer.sources, list the extractor.",
  },
  EPP_CONFIG_SECOND_PRODUCER: {
    severity: "warning",
    title: "Second producer of one type added",
    cause:
      "A plugin requires the data of the default producer. A producer of that type is declared under another name, which makes its data another piece of data.",
    fix: "Let the plugin read the declared producer, with the parameter that names it, or declare the producer without a name.",
  },
  EPP_CONFIG_DATA_TOO_LATE: {
    severity: "error",
    title: "Data produced after its use",
    cause: "A plugin requires data of the request that is written in a later step of the request's way.",
    fix: "Use a plugin that acts later, or a producer that acts earlier.",
  },
  EPP_CONFIG_DATA_CYCLE: {
    severity: "error",
    title: "Producers that wait for each other",
    cause: "Each producer of the circle requires data of another one.",
    fix: "Configure one of them to use other data.",
  },
  EPP_CONFIG_DATA_CYCLE_BROKEN: {
    severity: "warning",
    title: "Optional data not available in time",
    cause: "Producers use each other's data. One of them can do without and runs first.",
    fix: "Configure one of them to use other data if the order matters.",
  },
};

/** Renders the catalog as Markdown. The heading of each code is the anchor that messages point to. */
export function renderProblemCatalog(): string {
  const sections = Object.entries(problemCatalog).map(
    ([code, { severity, title, cause, fix }]) =>
      `## ${code}\n\n${title} (${severity}).\n\nCause: ${cause}\n\nFix: ${fix}\n`,
  );
  return `# Configuration problems\n\n${sections.join("\n")}`;
}
