import { type AttributeKey, type AttributeType, defineAttribute } from "../attributes/attribute-key.ts";
import { SESSION_ID } from "../attributes/request-attributes.ts";
import { errorText } from "../errors.ts";
import type { ParamsSchema } from "../plugin/params-schema.ts";
import type { Consumes } from "../plugin/plugin.ts";
import { type Fields, ParamsReader } from "./params-reader.ts";

/** A place where a request names its session. */
export type SessionSource =
  /** In lower case. */
  { readonly header: string } | { readonly attribute: AttributeKey<unknown> };

/** How requests of one session are told, and whose target they stay with. */
export type SessionAffinityParams = {
  /** Profile whose first target is kept; empty is the primary one. */
  readonly profileName: string;
} & (
  | {
      readonly strategy: "encoded_endpoint_header";
      /** In lower case. */
      readonly header: string;
    }
  | {
      readonly strategy: "session_id";
      /** At least one; the first that says something counts. */
      readonly sources: readonly SessionSource[];
      readonly ttlMs: number;
      readonly sweepMs: number;
      readonly maxSessions: number;
    }
);

/** What a session's own request found out about its endpoint. */
export interface SessionChoice {
  readonly sessionId: string;
  /** Id of the endpoint the session was bound to. */
  readonly boundTo: string | undefined;
  /** That endpoint was a candidate. */
  present: boolean;
}

/** What `choose` leaves on the request for `preRequest`. */
export const SESSION_CHOICE: AttributeType<SessionChoice> = defineAttribute({
  dataType: "SessionAffinityChoice",
  scope: "request",
  defaultProducer: "session-affinity-filter",
});

const defaults = {
  header: "x-session-token",
  sessionHeader: "x-session-id",
  ttlSeconds: 300,
  sweepSeconds: 10,
  maxSessions: 65_536,
} as const;

const maxSeconds = 31_536_000;
const maxSweepSeconds = 86_400;
const minSweepSeconds = 0.1;
const maxMaxSessions = 10_000_000;
const strategies = ["encoded_endpoint_header", "session_id"] as const;

const jsonSchema: Record<string, unknown> = {
  type: "object",
  additionalProperties: false,
  properties: {
    strategy: {
      type: "string",
      enum: strategies,
      default: "encoded_endpoint_header",
      description:
        "How a session is told: by a token that names its endpoint and that the client sends back, or by an id that is remembered here.",
    },
    profileName: {
      type: "string",
      default: "",
      description: "Profile whose first target a session stays with; empty is the primary profile.",
    },
    encodedEndpointHeaderConfig: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "Settings of `encoded_endpoint_header`.",
      properties: {
        header: {
          type: "string",
          default: defaults.header,
          description: "Header of requests and answers that carries the token; upper and lower case are the same.",
        },
      },
    },
    sessionIdConfig: {
      type: "object",
      additionalProperties: false,
      default: {},
      description: "Settings of `session_id`.",
      properties: {
        sources: {
          type: "array",
          default: [{ header: defaults.sessionHeader }],
          description: "Where the id stands, each by `header` or `attribute`; the first that is not blank counts.",
          items: {
            type: "object",
            additionalProperties: false,
            properties: {
              header: { type: "string", description: "Request header; upper and lower case are the same." },
              attribute: { type: "string", description: "Request attribute, such as `agent-identity`." },
              producer: {
                type: "string",
                description:
                  "Name of the plugin that writes the attribute; without it the usual one, for `SessionIDDataKey` `session-id-producer`.",
              },
            },
          },
        },
        evictionTtlSeconds: {
          type: "number",
          minimum: 0,
          maximum: maxSeconds,
          default: defaults.ttlSeconds,
          description: "Time after which an unused session is forgotten; 0 counts as 300.",
        },
        evictionSweepSeconds: {
          type: "number",
          minimum: 0,
          maximum: maxSweepSeconds,
          default: defaults.sweepSeconds,
          description: "Interval at which forgotten sessions are removed, at least 0.1; 0 counts as 10.",
        },
        maxSessions: {
          type: "integer",
          minimum: 1,
          maximum: maxMaxSessions,
          default: defaults.maxSessions,
          description: "Sessions remembered; beyond it the one whose use lies back longest is forgotten.",
        },
      },
    },
  },
};

/** Checks the parameters of a session affinity plugin. Both strategies' settings are checked, whichever is chosen. */
export const sessionAffinityParams: ParamsSchema<SessionAffinityParams> = {
  "~standard": {
    version: 1,
    vendor: "pointsman",
    validate: (value) => {
      const reader = new ParamsReader();
      const params = readParams(reader, value);
      return reader.issues.length > 0 ? { issues: reader.issues } : { value: params };
    },
    jsonSchema: { input: () => structuredClone(jsonSchema) },
  },
};

function readParams(reader: ParamsReader, value: unknown): SessionAffinityParams {
  const root = reader.object(value, [], ["strategy", "profileName", "encodedEndpointHeaderConfig", "sessionIdConfig"]);
  const strategy = reader.oneOf(root, "strategy", strategies, "encoded_endpoint_header");
  const profileName = reader.text(root, "profileName") ?? "";
  const headerConfig = reader.object(
    root.values["encodedEndpointHeaderConfig"],
    ["encodedEndpointHeaderConfig"],
    ["header"],
  );
  const header = reader.headerName(headerConfig, "header") ?? defaults.header;
  const idPath = ["sessionIdConfig"];
  const idConfig = reader.object(root.values["sessionIdConfig"], idPath, [
    "sources",
    "evictionTtlSeconds",
    "evictionSweepSeconds",
    "maxSessions",
  ]);
  const sources = readSources(reader, idConfig);
  const ttlSeconds = reader.number(idConfig, "evictionTtlSeconds", { min: 0, max: maxSeconds });
  const sweepSeconds = reader.number(idConfig, "evictionSweepSeconds", {
    min: minSweepSeconds,
    max: maxSweepSeconds,
    orZero: true,
  });
  const maxSessions = reader.number(idConfig, "maxSessions", { min: 1, max: maxMaxSessions, integer: true });
  if (strategy === "encoded_endpoint_header") return { strategy, profileName, header };
  return {
    strategy,
    profileName,
    sources,
    // 0 counts as not given.
    ttlMs: (ttlSeconds || defaults.ttlSeconds) * 1000,
    sweepMs: (sweepSeconds || defaults.sweepSeconds) * 1000,
    maxSessions: maxSessions ?? defaults.maxSessions,
  };
}

function readSources(reader: ParamsReader, idConfig: Fields): readonly SessionSource[] {
  const sources = reader
    .list(idConfig, "sources")
    .map((item, index) => readSource(reader, item, [...idConfig.path, "sources", index]))
    .filter((source) => source !== undefined);
  return sources.length === 0 ? [{ header: defaults.sessionHeader }] : sources;
}

function readSource(reader: ParamsReader, item: unknown, path: readonly PropertyKey[]): SessionSource | undefined {
  const fields = reader.object(item, path, ["header", "attribute", "producer"]);
  const header = reader.headerName(fields, "header");
  const attribute = reader.text(fields, "attribute") || undefined;
  const producer = reader.text(fields, "producer");
  const given = ["header", "attribute"].filter((name) => (fields.values[name] ?? "") !== "");
  if (given.length !== 1) {
    reader.complain(path, `needs exactly one of header and attribute, not ${given.length === 0 ? "none" : "both"}`);
    return undefined;
  }
  if (header !== undefined) {
    if (producer !== undefined && producer !== "") {
      reader.complain([...path, "producer"], "belongs to an attribute, not to a header");
    }
    return { header };
  }
  if (attribute === undefined) return undefined;
  try {
    return { attribute: attributeKey(attribute, producer ?? "") };
  } catch (thrown: unknown) {
    reader.complain([...path, "attribute"], `names no data of requests: ${errorText(thrown)}`);
    return undefined;
  }
}

function attributeKey(attribute: string, producer: string): AttributeKey<unknown> {
  if (attribute === SESSION_ID.dataType) return SESSION_ID.from(producer);
  return defineAttribute<unknown>({ dataType: attribute, scope: "request", defaultProducer: producer }).from();
}

/** The attributes that a session is read from. */
export function sessionAffinityConsumes(params: SessionAffinityParams): Consumes {
  if (params.strategy !== "session_id") return {};
  return { optional: params.sources.flatMap((source) => ("attribute" in source ? [source.attribute] : [])) };
}

/** What an instance of this name leaves on a request for itself. */
export function sessionAffinityProduces(params: SessionAffinityParams, name: string): readonly AttributeKey<unknown>[] {
  return params.strategy === "session_id" ? [SESSION_CHOICE.from(name)] : [];
}
