import { existsSync, lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";

/** Of Linux; other systems have a few bytes less. */
const maxPathBytes = 107;

/**
 * Makes way for a Unix socket: removes one that a process left behind when it was killed. Rejects when a server listens
 * there, when what is there is no socket, when there is no folder for one, which Node calls a lack of permission, and when
 * the path is too long, which it calls an invalid argument.
 */
export async function freeSocketPath(path: string): Promise<void> {
  const pathBytes = Buffer.byteLength(path);
  if (pathBytes > maxPathBytes) {
    throw new Error(`the path has ${pathBytes} bytes; that of a Unix socket has at most ${maxPathBytes}`);
  }
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    if (!existsSync(dirname(path))) throw new Error(`there is no folder ${dirname(path)}`);
    return;
  }
  if (!found.isSocket()) throw new Error("what is there is no socket; remove it or give another path");
  if (await isServed(path)) throw new Error("another process listens there");
  rmSync(path, { force: true });
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      // Nobody listens, or it is gone since it was looked at.
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(false);
      else reject(error);
    });
  });
}
