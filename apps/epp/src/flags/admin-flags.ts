import { type FlagSpec, flagTable } from "./flag-table.ts";

/** Holds the token where no file does. It is never taken from the command line, which other users can read. */
export const tokenVariable = "POINTSMAN_ADMIN_TOKEN";

/** Flags of commands that ask a running picker. */
export const adminFlags: readonly FlagSpec[] = [
  {
    name: "address",
    kind: "string",
    default: "",
    help: "Metrics port of the picker, host:port or https://host:port; 127.0.0.1 and --metrics-port when empty.",
  },
  flagTable.find((flag) => flag.name === "metrics-port")!,
  {
    name: "token-file",
    kind: "string",
    default: "",
    help: `File with the bearer token that the metrics port asks for; the variable ${tokenVariable} when empty.`,
  },
  {
    name: "ca-file",
    kind: "string",
    default: "",
    help: "Authority or certificate that the port's certificate is checked with; means https.",
  },
  {
    name: "server-name",
    kind: "string",
    default: "",
    help: "Name that the port's certificate must have, where that is not the host of the address.",
  },
  {
    name: "cert-file",
    kind: "string",
    default: "",
    help: "Certificate to show, where the port asks for one; with --key-file.",
  },
  { name: "key-file", kind: "string", default: "", help: "Its key." },
];
