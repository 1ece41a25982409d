/** Writes a line for people or scripts. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Writes a line about a problem. */
export function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Ends quietly when the reader of our output is gone (`epp explain | head`). */
export function onOutputError(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
}

/** Exit codes. */
export const exitCode = { ok: 0, failed: 1, badInput: 2 } as const;
