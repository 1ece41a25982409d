import { Socket, type SocketConstructorOpts } from "node:net";

/** Takes what a socket has read: `bytes[0..end)`, valid during the call. */
export type OnBytes = (bytes: Buffer, end: number) => void;

/** A socket of whose reads `onBytes` hears from here on. */
export type ReadSocket = (onBytes: OnBytes) => Socket;

/** Bytes of one read. */
const readBytes = 65_536;

/** What Node's types leave out. */
interface AcceptedSocket {
  _handle?: object | null;
}

/**
 * One buffer that all connections of a server read into.
 *
 * Node makes a buffer of 64 KiB for each read of an accepted socket. Measured on reads of 60 KB, reading in place takes a
 * third of the time; on reads of 1.5 KB, three quarters. And buffers count against the heap: at 100 requests/s with
 * prompts of 430 KB, they alone make the collector mark the whole heap several times a second.
 */
export class SharedReads {
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(readBytes);

  /** Makes an accepted socket that is paused read in place. */
  socket(accepted: Socket): ReadSocket {
    // Only a socket that is made around a handle takes the option `onread`, so this one hands its handle over.
    const { _handle: handle } = accepted as AcceptedSocket;
    if (typeof handle !== "object" || handle === null) return readEvents(accepted);
    return (onBytes) => {
      (accepted as AcceptedSocket)._handle = null;
      const buffer = this.#buffer;
      const options: Omit<SocketConstructorOpts, "handle"> & { readonly handle: object } = {
        handle,
        onread: {
          buffer,
          callback: (count) => {
            onBytes(buffer, count);
            return true;
          },
        },
      };
      // The types know other handles only.
      const socket = new Socket(options as SocketConstructorOpts);
      // The server counts its connections by the sockets it made.
      socket.once("close", () => accepted.destroy());
      return socket;
    };
  }
}

/** Reads a socket by its events, as TLS needs it. */
export function readEvents(socket: Socket): ReadSocket {
  return (onBytes) => {
    socket.on("data", (chunk: Buffer) => onBytes(chunk, chunk.length));
    return socket.resume();
  };
}
