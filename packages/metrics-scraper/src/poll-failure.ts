/**
 * What kind of failure ended a poll.
 * `unreachable`: nobody answered: refused, closed before an answer, no route, no such host.
 * `silent`: connecting or waiting for the answer's head took longer than the timeout.
 * `bad-answer`: somebody answered, but not with a page that can be used.
 * `local`: the reason lies in this process or its configuration; says nothing of the server.
 */
export type FailureKind = "unreachable" | "silent" | "bad-answer" | "local";

/** Why a poll gave no page. A value, not thrown. */
export class PollFailure {
  readonly kind: FailureKind;
  /** For people; bounded and printable. */
  readonly reason: string;

  constructor(kind: FailureKind, reason: string) {
    this.kind = kind;
    this.reason = reason;
  }
}

/** Codes of errors that mean that nobody was there to answer. */
const unreachableCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
]);

/** Codes of errors that come from this machine: out of ports, files or memory, name service not available. */
const localCodes: ReadonlySet<string> = new Set([
  "EACCES",
  "EADDRNOTAVAIL",
  "EAI_AGAIN",
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "EPERM",
  "ERR_INVALID_ARG_VALUE",
]);

/** Node's advice to those who start Node themselves. */
const nodeAdvice = /; if the root CA is installed locally.*/s;

const maxReasonLength = 300;

/** Makes text from outside fit for a log line: printable, at most 300 characters. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is to be replaced
  const plain = text.slice(0, maxReasonLength).replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
  return text.length > maxReasonLength ? `${plain}...` : plain;
}

/** Tells what kind of failure an error of the HTTP client is. `answered`: the head of an answer had arrived before. */
export function failureOf(error: unknown, answered: boolean): PollFailure {
  const code = codeOf(error);
  const text =
    error instanceof Error && error.message !== "" ? error.message.replace(nodeAdvice, "") : String(code ?? error);
  const reason = printable(code === undefined || text.includes(code) ? text : `${text} (${code})`);
  if (answered) return new PollFailure("bad-answer", `the answer broke off: ${reason}`);
  if (code !== undefined && unreachableCodes.has(code)) return new PollFailure("unreachable", reason);
  // A connection that could not even be tried, for instance an IPv6 address on a machine without IPv6, is no answer.
  if (code !== undefined && (localCodes.has(code) || isOfConnecting(error))) return new PollFailure("local", reason);
  // What is left are complaints about what the server sent: TLS, certificates, HTTP.
  return new PollFailure("bad-answer", reason);
}

function isOfConnecting(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  // Both fields are checked before use.
  const { syscall, errors } = error as { readonly syscall?: unknown; readonly errors?: unknown };
  return syscall === "connect" || syscall === "getaddrinfo" || (Array.isArray(errors) && isOfConnecting(errors[0]));
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  // Both fields are checked before use.
  const { code, errors } = error as { readonly code?: unknown; readonly errors?: unknown };
  if (typeof code === "string") return code;
  return Array.isArray(errors) ? codeOf(errors[0]) : undefined;
}
