/** Writes a line for people or scripts. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Writes a line about a problem. */
export function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

/**
 * A reader that is gone (`epp explain | head`) changes nothing: the command ends as it would have. Output that cannot be
 * written for another reason, such as a full disk, is said once and makes the exit code that of a failure.
 */
export function onOutputError(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED") return;
  if (process.exitCode === exitCode.failed) return;
  process.exitCode = exitCode.failed;
  complain(`epp: the output cannot be written: ${error.message}`);
}

/** Exit codes. */
export const exitCode = { ok: 0, failed: 1, badInput: 2 } as const;
