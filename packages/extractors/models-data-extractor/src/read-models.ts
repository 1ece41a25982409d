import type { ServedModel } from "@pointsman/core";

/** Models kept of one list. */
export const maxModels: number = 1000;
/** A longer text is no name. */
const maxTextChars = 512;

/** What a list says: the models that can be read, and what could not. */
export interface ModelsReading {
  /** `undefined`: the list as a whole cannot be used. */
  readonly models: readonly ServedModel[] | undefined;
  readonly problem: string | undefined;
}

const decoder = new TextDecoder();

/** Reads the answer of `/v1/models`: `{"data": [{"id": ..., "parent": ...}, ...]}`. Unknown keys are ignored. Never throws. */
export function readModels(body: Uint8Array): ModelsReading {
  let answer: unknown;
  try {
    answer = JSON.parse(decoder.decode(body));
  } catch {
    return { models: undefined, problem: "the answer is not JSON" };
  }
  const list = fieldsOf(answer)["data"];
  if (!Array.isArray(list)) return { models: undefined, problem: 'the answer has no list "data"' };
  const entries: readonly unknown[] = list;
  const models: ServedModel[] = [];
  let problem: string | undefined;
  for (const [index, entry] of entries.entries()) {
    if (models.length === maxModels) {
      problem ??= `the list has more than ${maxModels} models; the others are left out`;
      break;
    }
    const { id, object, created, owned_by: ownedBy, parent } = fieldsOf(entry);
    const name = textOf(id);
    if (name === undefined || name === "") {
      problem ??= `data[${index}] has no usable id`;
      continue;
    }
    models.push({
      id: name,
      object: textOf(object),
      createdAtSeconds: typeof created === "number" && Number.isFinite(created) ? created : undefined,
      ownedBy: textOf(ownedBy),
      parent: textOf(parent),
    });
  }
  return { models, problem };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value.length <= maxTextChars ? value : undefined;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  // What is no object has no fields.
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
