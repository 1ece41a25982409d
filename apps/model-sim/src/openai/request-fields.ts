import { ApiError } from "../http/api-error.ts";

type Document = Readonly<Record<string, unknown>>;

/** Readers for optional fields of a request. A missing field and `null` both read as undefined; a wrong type is a 400. */

export function readText(document: Document, field: string, maxCharacters: number): string | undefined {
  const value = document[field] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw wrongType(field, "a string", value);
  if (value.length > maxCharacters) {
    throw new ApiError(400, `"${field}" is longer than ${maxCharacters} characters.`, { param: field });
  }
  return value;
}

export function readFlag(document: Document, field: string): boolean | undefined {
  const value = document[field] ?? undefined;
  if (value === undefined || typeof value === "boolean") return value;
  throw wrongType(field, "true or false", value);
}

/** Reads an integer of at least 1. */
export function readCount(document: Document, field: string): number | undefined {
  const value = document[field] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return value;
  throw wrongType(field, "an integer of at least 1", value);
}

export function readObject(document: Document, field: string): Document | undefined {
  const value = document[field] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === "object" && !Array.isArray(value)) return { ...value };
  throw wrongType(field, "an object", value);
}

export function wrongType(field: string, expected: string, value: unknown): ApiError {
  const shown = Array.isArray(value)
    ? "an array"
    : typeof value === "object" && value !== null
      ? "an object"
      : typeof value === "string"
        ? `the string ${JSON.stringify(value.slice(0, 40))}`
        : String(value);
  return new ApiError(400, `"${field}" must be ${expected}, not ${shown}.`, { param: field });
}
