import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { errorText } from "@pointsman/core";
import type { Cancellation } from "@pointsman/pd-sidecar/shared";
import type { MediaNetwork } from "./media-network.ts";

export type GuardedConnection =
  | { readonly kind: "connected"; readonly socket: Socket }
  /** Every address of the host is one that must not be reached. */
  | { readonly kind: "blocked" }
  | { readonly kind: "failed"; readonly problem: string };

export interface GuardedTarget {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly encrypted: boolean;
  readonly allowPrivate: boolean;
}

/** Addresses of one host that are tried. */
const maxAddresses = 8;

/**
 * Connects to a host, to none but allowed addresses. No proxy is used, whatever the environment says: a proxy would
 * connect to what it likes. The address of the connection itself is checked once more before anything is sent. Never
 * rejects.
 */
export async function guardedConnect(
  target: GuardedTarget,
  network: MediaNetwork,
  cancellation: Cancellation,
): Promise<GuardedConnection> {
  const { host, port, encrypted, allowPrivate } = target;
  let addresses: readonly string[];
  try {
    addresses = isIP(host) === 0 ? await unlessCancelled(network.resolve(host, cancellation), cancellation) : [host];
  } catch (thrown: unknown) {
    return { kind: "failed", problem: errorText(thrown) };
  }
  const allowed = addresses.filter((address) => network.mayReach(address, allowPrivate)).slice(0, maxAddresses);
  if (allowed.length === 0) {
    return addresses.length === 0 ? { kind: "failed", problem: "the host has no address" } : { kind: "blocked" };
  }
  let problem = "";
  for (const address of allowed) {
    if (cancellation.isCancelled) return { kind: "failed", problem: "nobody waits for the image" };
    const socket = await opened(connect({ host: address, port, noDelay: true }), "connect", cancellation);
    if (typeof socket === "string") {
      problem = socket;
      continue;
    }
    if (!network.mayReach(socket.remoteAddress ?? "", allowPrivate)) {
      socket.destroy();
      return { kind: "blocked" };
    }
    if (!encrypted) return { kind: "connected", socket };
    const serverName = isIP(host) === 0 ? { servername: host } : { host };
    const secure = await opened(
      connectTls({ socket, ...serverName, ALPNProtocols: ["http/1.1"] }),
      "secureConnect",
      cancellation,
    );
    return typeof secure === "string" ? { kind: "failed", problem: secure } : { kind: "connected", socket: secure };
  }
  return { kind: "failed", problem };
}

/** A name service may take longer than anybody waits. */
function unlessCancelled<T>(waited: Promise<T>, cancellation: Cancellation): Promise<T> {
  return new Promise((resolve, reject) => {
    const release = cancellation.onCancel(() => reject(new Error("nobody waits for the image")));
    waited.then(resolve, reject).finally(release);
  });
}

/** Waits for a connection. A text says why there is none. */
function opened(
  socket: Socket,
  event: "connect" | "secureConnect",
  cancellation: Cancellation,
): Promise<Socket | string> {
  return new Promise((resolve) => {
    const release = cancellation.onCancel(() => {
      socket.destroy();
      resolve("nobody waits for the image");
    });
    const done = (outcome: Socket | string): void => {
      release();
      resolve(outcome);
    };
    socket.once(event, () => done(socket));
    // Stays: a later error is told by `close` to whoever uses the socket.
    socket.on("error", (error: NodeJS.ErrnoException) => done(error.code ?? errorText(error)));
    socket.once("close", () => done("the connection was closed"));
  });
}
