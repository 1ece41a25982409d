import { readFileSync } from "node:fs";
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
  async run(args) {
    const flags = parseOnly("envoy-config", args, envoyFlags);
    if (flags === undefined) return exitCode.badInput;
    const text = (name: string): string => String(flags.values.get(name));
    const failOpen = text("failure-mode") === "open";
    if (failOpen && text("endpoints-file") === "") {
      complain("epp envoy-config: --failure-mode=open needs --endpoints-file, the endpoints to use without the picker");
      return exitCode.badInput;
    }
    try {
      print(
        envoyBootstrap({
          listenAddress: text("listen-address"),
          listenPort: Number(text("listen-port")),
          adminPort: Number(text("admin-port")),
          eppAddress: text("epp-address"),
          eppPort: Number(text("grpc-port")),
          eppTls: flags.values.get("secure-serving") === true,
          fallbackEndpoints: failOpen ? readFileSync(text("endpoints-file"), "utf8") : undefined,
        }),
      );
    } catch (thrown: unknown) {
      complain(`epp envoy-config: ${errorText(thrown)}`);
      return exitCode.failed;
    }
    return exitCode.ok;
  },
};
