import { type BigIntStats, constants } from "node:fs";
import { open, stat } from "node:fs/promises";

export const maxFileBytes: number = 1024 * 1024;

/** A text that tells two states of a file apart: another file, another size, another time of change. */
export type FileSignature = string;

/** The text of a file with the state in which it was read, or why it could not be read. */
export type FileReading =
  | { readonly text: string; readonly signature: FileSignature }
  | { readonly problem: string; readonly signature: FileSignature };

/** The file's state at this moment. A file that cannot be looked at has a state, too. */
export async function fileSignature(path: string): Promise<FileSignature> {
  try {
    return signatureOf(await stat(path, { bigint: true }));
  } catch (thrown) {
    return `not there: ${codeOf(thrown)}`;
  }
}

/** Reads a file of at most one mebibyte of UTF-8. Does not wait for pipes and devices. Never rejects. */
export async function readBounded(path: string): Promise<FileReading> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    // Opening a pipe without a writer would wait for one.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (thrown) {
    return { problem: openProblem(thrown), signature: `not there: ${codeOf(thrown)}` };
  }
  try {
    const stats = await file.stat({ bigint: true });
    const signature = signatureOf(stats);
    if (!stats.isFile()) return { problem: "is not a regular file", signature };
    const tooLarge = { problem: `is larger than the limit of ${maxFileBytes} bytes`, signature };
    if (stats.size > maxFileBytes) return tooLarge;
    const bytes = new Uint8Array(maxFileBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length);
      if (bytesRead === 0) break;
      length += bytesRead;
      if (length > maxFileBytes) return tooLarge;
    }
    try {
      return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length)), signature };
    } catch {
      return { problem: "is not valid UTF-8 text", signature };
    }
  } catch (thrown) {
    return { problem: `cannot be read: ${codeOf(thrown)}`, signature: `not read: ${codeOf(thrown)}` };
  } finally {
    await file.close();
  }
}

function signatureOf(stats: BigIntStats): FileSignature {
  return [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(" ");
}

function openProblem(thrown: unknown): string {
  const code = codeOf(thrown);
  if (code === "ENOENT") return "is not there";
  if (code === "EACCES" || code === "EPERM") return "may not be read by this process";
  return `cannot be opened: ${code}`;
}

function codeOf(thrown: unknown): string {
  if (typeof thrown === "object" && thrown !== null && "code" in thrown) return String(thrown.code);
  return thrown instanceof Error ? thrown.message : String(thrown);
}
