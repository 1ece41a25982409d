import { isUtf8 } from "node:buffer";
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
    const content = bytes.subarray(0, length);
    if (!isUtf8(content)) return { problem: `is not UTF-8 text in line ${firstBadLine(content)}`, signature };
    return { text: new TextDecoder().decode(content), signature };
  } catch (thrown) {
    return { problem: `cannot be read: ${codeOf(thrown)}`, signature: `not read: ${codeOf(thrown)}` };
  } finally {
    await file.close();
  }
}

/** Number of the first line that is no UTF-8, where there is one. */
function firstBadLine(content: Uint8Array): number {
  for (let line = 1, from = 0; ; line++) {
    // The byte of a line's end is never part of another character.
    const end = content.indexOf(0x0a, from);
    if (end === -1 || !isUtf8(content.subarray(from, end))) return line;
    from = end + 1;
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
