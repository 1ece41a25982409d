import type { JsonValue } from "../json/index.ts";
import type { Usage } from "../plugin/parser.ts";

/** How the answers of one API family tell what they cost and which model gave them. */
export interface AnswerFormat {
  /** Reads the usage of an answer that is one JSON value. Missing values: undefined when it tells none. */
  answerUsage(answer: JsonValue): Usage | undefined;
  /** A key that stands, with a value that is not null, in every event with usage. Events without it are not parsed. */
  readonly usageKey: string;
  /** Reads an event and lays its usage over what events before it told. Returns `before` when it tells none. */
  eventUsage(before: Usage | undefined, event: JsonValue): Usage | undefined;
  /** Events of a stream are counted. */
  readonly countsEvents: boolean;
  /** Member of an event that may be an object with the model's name, beside the event itself; undefined when none is. */
  readonly modelHolder: string | undefined;
}
