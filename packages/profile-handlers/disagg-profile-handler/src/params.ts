import { z } from "zod";

/** Which stage runs first: the one whose choice the others may look at. */
export type StageOrder = "decode-first" | "prefill-first";

/** A decider as the parameters name it. */
export interface DeciderReference {
  readonly name: string;
  /** Where the name stands in the parameters. */
  readonly path: readonly string[];
}

/** The stages: their order, their profiles, and who decides whether they run. */
export interface DisaggProfileHandlerParams {
  readonly stageOrder: StageOrder;
  readonly decodeProfile: string;
  readonly prefillProfile: string;
  readonly encodeProfile: string;
  readonly prefillDecider: DeciderReference | undefined;
  readonly encodeDecider: DeciderReference | undefined;
}

const stageOrders: ReadonlyMap<string, StageOrder> = new Map<string, StageOrder>([
  ["", "decode-first"],
  ["decodefirst", "decode-first"],
  ["decode", "decode-first"],
  ["prefillfirst", "prefill-first"],
  ["prefill", "prefill-first"],
]);

/** Reads a stage order: upper and lower case, `-` and `_` make no difference, `-first` may be left out. */
export function stageOrderOf(text: string): StageOrder | undefined {
  return stageOrders.get(text.replaceAll(/[-_]/g, "").toLowerCase());
}

const flatNames = [
  "decodeProfile",
  "prefillProfile",
  "encodeProfile",
  "prefillDeciderPluginName",
  "encodeDeciderPluginName",
  "deciderPluginName",
] as const;

const profile = (stage: string): z.ZodType<string | undefined> =>
  z.string().optional().describe(`Scheduling profile that chooses the ${stage} endpoint; \`${stage}\` when not given.`);
const flat = (instead: string): z.ZodType<string | undefined> =>
  z.string().optional().describe(`Deprecated flat form of \`${instead}\`.`);

const given = z.strictObject({
  stageOrder: z
    .string()
    .default("decode-first")
    .describe("`decode-first`: decode, encode, prefill; `prefill-first`: prefill, encode, decode."),
  profiles: z
    .strictObject({ decode: profile("decode"), prefill: profile("prefill"), encode: profile("encode") })
    .optional()
    .describe("Profiles of the stages. Without its profile, a stage other than decode does not run."),
  deciders: z
    .strictObject({
      prefill: z
        .string()
        .optional()
        .describe("Plugin that decides whether prefill runs on its own endpoint; only with `decode-first`."),
      encode: z.string().optional().describe("Plugin that decides whether media are encoded on their own endpoints."),
    })
    .optional()
    .describe("Deciders by name. Without one, encode does not run, nor does prefill with `decode-first`."),
  decodeProfile: flat("profiles.decode"),
  prefillProfile: flat("profiles.prefill"),
  encodeProfile: flat("profiles.encode"),
  prefillDeciderPluginName: flat("deciders.prefill"),
  encodeDeciderPluginName: flat("deciders.encode"),
  deciderPluginName: z
    .string()
    .optional()
    .describe("Deprecated: `deciders.prefill` where `prefillDeciderPluginName` is not given."),
});

type Given = z.output<typeof given>;

export const disaggProfileHandlerParams: z.ZodType<DisaggProfileHandlerParams> = given.transform((values, context) => {
  const usesFlat = flatNames.filter((name) => values[name] !== undefined);
  const nested = (["profiles", "deciders"] as const).filter((name) => values[name] !== undefined);
  const [firstFlat] = usesFlat;
  if (firstFlat !== undefined && nested.length > 0) {
    context.addIssue({
      code: "custom",
      message: `cannot be used together with ${nested.join(" and ")}: put everything into profiles and deciders`,
      path: [firstFlat],
    });
    return z.NEVER;
  }
  const stageOrder = stageOrderOf(values.stageOrder);
  if (stageOrder === undefined) {
    context.addIssue({
      code: "custom",
      message: `invalid stage order ${JSON.stringify(values.stageOrder.slice(0, 80))}, must be "decode-first" or "prefill-first"`,
      path: ["stageOrder"],
    });
    return z.NEVER;
  }
  const params = firstFlat === undefined ? fromNested(values, stageOrder) : fromFlat(values, stageOrder);
  if (stageOrder === "prefill-first" && params.prefillDecider !== undefined) {
    context.addIssue({
      code: "custom",
      message: "a prefill decider needs the decode endpoint: it is not supported with prefill-first",
      path: [...params.prefillDecider.path],
    });
  }
  const names = [params.decodeProfile, params.prefillProfile, params.encodeProfile];
  if (new Set(names).size < names.length) {
    context.addIssue(`the stages need three different profiles, not ${names.join(", ")}`);
  }
  return params;
});

/** An empty name counts as not given. */
function named(name: string | undefined, otherwise: string): string {
  return name === undefined || name === "" ? otherwise : name;
}

function decider(name: string | undefined, ...path: readonly string[]): DeciderReference | undefined {
  return name === undefined || name === "" ? undefined : { name, path };
}

function fromNested({ profiles, deciders }: Given, stageOrder: StageOrder): DisaggProfileHandlerParams {
  return {
    stageOrder,
    decodeProfile: named(profiles?.decode, "decode"),
    prefillProfile: named(profiles?.prefill, "prefill"),
    encodeProfile: named(profiles?.encode, "encode"),
    prefillDecider: decider(deciders?.prefill, "deciders", "prefill"),
    encodeDecider: decider(deciders?.encode, "deciders", "encode"),
  };
}

function fromFlat(values: Given, stageOrder: StageOrder): DisaggProfileHandlerParams {
  return {
    stageOrder,
    decodeProfile: named(values.decodeProfile, "decode"),
    prefillProfile: named(values.prefillProfile, "prefill"),
    encodeProfile: named(values.encodeProfile, "encode"),
    prefillDecider:
      decider(values.prefillDeciderPluginName, "prefillDeciderPluginName") ??
      decider(values.deciderPluginName, "deciderPluginName"),
    encodeDecider: decider(values.encodeDeciderPluginName, "encodeDeciderPluginName"),
  };
}
