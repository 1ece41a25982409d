import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { errorText } from "@pointsman/core";
import { envoyBootstrap } from "../envoy/envoy-bootstrap.ts";
import type { Command } from "./commands.ts";
import { complain, exitCode, print } from "./output.ts";
import { parseOnly } from "./parse-only.ts";

const port = { kind: "integer", min: 1, max: 65535 } as const;
const envoyFlags = [
  { ...port, name: "listen-port", default: "8081", help: "Port that clients use." },
  { name: "listen-address", kind: "string", default: "127.0.0.1", help: "Address that clients use." },
  { ...port, name: "admin-port", default: "9901", help: "Port of Envoy's admin page, on 127.0.0.1." },
  { name: "epp-address", kind: "string", default: "127.0.0.1", help: "Address of the endpoint picker." },
  { ...port, name: "grpc-port", default: "9002", help: "Port of ext_proc." },
  {
    name: "ext-proc-socket",
    kind: "string",
    default: "",
    help: "The picker's --ext-proc-socket, in place of --epp-address, --grpc-port and --secure-serving.",
  },
  {
    name: "secure-serving",
    kind: "boolean",
    default: "true",
    help: "The picker's ext_proc port speaks TLS, as it does by default.",
  },
  {
    name: "failure-mode",
    kind: "string",
    default: "close",
    oneOf: ["close", "open"],
    help: "Without an answer of the picker: close refuses, open sends the request to any endpoint of --endpoints-file.",
  },
  { name: "endpoints-file", kind: "string", default: "", help: "Endpoints for failure mode open." },
] as const;

export const envoyConfigCommand: Command = {
  flags: envoyFlags,
  async run(args) {
    const flags = parseOnly("envoy-config", args, envoyFlags);
    if (flags === undefined) return exitCode.badInput;
    const text = (name: string): string => String(flags.values.get(name));
    const failOpen = text("failure-mode") === "open";
    const endpointsFile = text("endpoints-file");
    const problems: string[] = [];
    if (failOpen && endpointsFile === "") {
      problems.push("--failure-mode=open needs --endpoints-file, the endpoints to use without the picker");
    }
    if (!failOpen && endpointsFile !== "") {
      problems.push(
        "--endpoints-file is for --failure-mode=open; without the picker, mode close refuses every request",
      );
    }
    if (isIP(text("listen-address")) === 0) {
      problems.push(
        `--listen-address: ${JSON.stringify(text("listen-address"))} is no IP address; Envoy binds to no name`,
      );
    }
    const eppSocket = text("ext-proc-socket");
    if (eppSocket !== "") {
      for (const name of ["epp-address", "grpc-port", "secure-serving"].filter((each) => flags.given.has(each))) {
        problems.push(`--${name} is for a picker at a port, not for --ext-proc-socket`);
      }
    }
    if (text("epp-address") === "") problems.push("--epp-address is empty; give the picker's address or name");
    for (const problem of problems) complain(`epp envoy-config: ${problem}`);
    if (problems.length > 0) return exitCode.badInput;
    try {
      print(
        envoyBootstrap({
          listenAddress: text("listen-address"),
          listenPort: Number(text("listen-port")),
          adminPort: Number(text("admin-port")),
          epp:
            eppSocket === ""
              ? {
                  address: text("epp-address"),
                  port: Number(text("grpc-port")),
                  tls: flags.values.get("secure-serving") === true,
                }
              : { socketPath: eppSocket },
          fallbackEndpoints: failOpen ? readFileSync(endpointsFile, "utf8") : undefined,
        }),
      );
    } catch (thrown: unknown) {
      // Nothing but the endpoints file can be wrong here. A YAML error shows the lines around its place, too.
      complain(`epp envoy-config: --endpoints-file: ${endpointsFile}: ${errorText(thrown).split("\n")[0]}`);
      return exitCode.badInput;
    }
    return exitCode.ok;
  },
};
