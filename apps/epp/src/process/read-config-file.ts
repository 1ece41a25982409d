import { isUtf8 } from "node:buffer";
import { open } from "node:fs/promises";

/** No text that the loader takes has more bytes in UTF-8; it tells the exact limit in characters. */
const maxFileBytes = 4 * 1024 * 1024;

/**
 * Reads the text of a configuration file, which may be a pipe. Throws for one that cannot be read, has more than
 * 4 MiB, or is no UTF-8: a name with replaced bytes would be another name.
 */
export async function readConfigFile(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    let bytes = Buffer.alloc(64 * 1024);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
      if (length > maxFileBytes) throw new Error(`it has more than ${maxFileBytes} bytes`);
      if (length === bytes.length) bytes = Buffer.concat([bytes], length * 2);
    }
    return textOf(bytes.subarray(0, length));
  } finally {
    await file.close();
  }
}

function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  // The byte of a line's end is never part of another character.
  for (let line = 1, from = 0; ; line++) {
    const end = bytes.indexOf(0x0a, from);
    if (end === -1 || !isUtf8(bytes.subarray(from, end))) throw new Error(`line ${line} is not UTF-8 text`);
    from = end + 1;
  }
}
