/** Base of the errors this project throws: a stable `code`, and the `cause` where there is one. */
export class EppError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "EppError";
    this.code = code;
  }
}

/** A broken invariant of our own or of a plugin. Logged and counted; the request it hits ends as Internal. */
export class EppBug extends EppError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("EPP_BUG", message, options);
    this.name = "EppBug";
  }
}

/** Text of an unknown thrown value. */
export function errorText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
