import { makeTarget, type Target } from "@pointsman/pd-sidecar/shared";

/** Where a service is: server, encryption, and what stands before every path. */
export interface BaseAddress {
  readonly target: Target;
  readonly encrypted: boolean;
  /** Value of `Host`. */
  readonly authority: string;
  /** Empty, or a path that does not end with a slash. */
  readonly path: string;
}

/**
 * Reads a base URL such as `http://gateway:80` or `https://gateway/inference`. Missing values: undefined for what is no
 * http or https URL, and for one with user info, a query or a fragment.
 */
export function parseBaseAddress(text: string): BaseAddress | undefined {
  if (!/^https?:\/\/[^\s]+$/i.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, username, password, hostname, port, host, pathname, search, hash } = new URL(text);
  if (username !== "" || password !== "" || search !== "" || hash !== "") return undefined;
  const encrypted = protocol === "https:";
  const bare = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  const portNumber = port === "" ? (encrypted ? 443 : 80) : Number(port);
  if (bare === "" || portNumber === 0) return undefined;
  return {
    target: makeTarget(bare, portNumber),
    encrypted,
    authority: host,
    path: pathname.replace(/\/+$/, ""),
  };
}
