import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, expect, test } from "vitest";
import { adminFlags } from "../flags/admin-flags.ts";
import { parseFlags } from "../flags/parse-flags.ts";
import { adminFailure, connectAdmin } from "./admin-client.ts";

const directory = mkdtempSync(join(tmpdir(), "epp-admin-client-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const path = (name: string): string => join(directory, name);
writeFileSync(path("empty"), "\n");
writeFileSync(path("two-lines"), "one\ntwo\n");
writeFileSync(path("token"), "secret-token\n");

function connect(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const flags = parseFlags(args, adminFlags);
  if ("problems" in flags) throw new Error(flags.problems.join());
  return connectAdmin(flags, environment);
}

test.each<[readonly string[], Readonly<Record<string, string>>, string]>([
  [["--token-file", path("missing")], {}, "--token-file: cannot read "],
  [["--token-file", path("empty")], {}, "is empty"],
  [["--token-file", path("two-lines")], {}, "--token-file: holds no bearer token"],
  [[], { POINTSMAN_ADMIN_TOKEN: "a b" }, "variable POINTSMAN_ADMIN_TOKEN: holds no bearer token"],
  [[], { POINTSMAN_ADMIN_TOKEN: "a".repeat(70_000) }, "holds no bearer token"],
  [["--cert-file", path("two-lines")], {}, "--cert-file and --key-file go together"],
  [["--address", "http://127.0.0.1:9090", "--ca-file", path("two-lines")], {}, "--address is plain http"],
  [["--address", "https://127.0.0.1:9090/metrics"], {}, "is no host:port"],
  [["--address", "https://user@127.0.0.1:9090"], {}, "is no host:port"],
  [["--address", "a b"], {}, "is no host:port"],
])("%j is refused before anything is sent", (args, environment, text) => {
  const admin = connect(args, environment);
  expect(admin).toEqual({ problems: [expect.stringContaining(text)] });
});

test.each<[readonly string[], string]>([
  [[], "http://127.0.0.1:9090"],
  [["--metrics-port=1234"], "http://127.0.0.1:1234"],
  [["--address=epp.inference.svc:9090"], "http://epp.inference.svc:9090"],
  [["--address=[::1]:9090"], "http://[::1]:9090"],
  [["--address=epp:9090", "--ca-file", path("two-lines")], "https://epp:9090"],
  [["--address=epp:9090", "--server-name=llm-epp"], "https://epp:9090"],
  [["--address=https://epp:9090"], "https://epp:9090"],
])("%j asks %s", (args, url) => {
  expect(connect(args)).toMatchObject({ url });
});

test.each<[string, number]>([
  ["http://127.0.0.9:9090", 0],
  ["localhost:9090", 0],
  ["http://[::1]:9090", 0],
  ["https://epp:9090", 0],
  ["epp:9090", 1],
  ["127.evil.example:9090", 1],
])("a token that goes to %s is warned of %d times", (address, times) => {
  const admin = connect(["--address", address, "--token-file", path("token")]);
  if ("problems" in admin) throw new Error(admin.problems.join());
  expect(admin.warnings).toHaveLength(times);
  expect(admin.warnings.join()).not.toContain("secret-token");
  expect(connect(["--address", address])).toMatchObject({ warnings: [] });
});

test.each([
  [
    "self-signed certificate; if the root CA is installed locally, try another program",
    "the certificate of https://p is not accepted (self-signed certificate): give its authority with --ca-file, or the name in it with --server-name",
  ],
  [
    "write EPROTO 40CD:error:0A00010B:SSL routines:tls:wrong version number:a.c:77:\n",
    "https://p does not speak TLS: ask http:// there",
  ],
  [
    "40FD:error:0A00045C:SSL routines:tlsv13 alert certificate required:a.c:918:SSL alert number 116\n",
    "https://p asks for a certificate of an authority in its --metrics-client-ca-file: give --cert-file and --key-file",
  ],
  ["error:05800074:x509 certificate routines::key values mismatch", "--key-file is not the key of --cert-file"],
])("%j of TLS is told with the flags that help", (message, told) => {
  expect(adminFailure("https://p", new ConnectError(message))).toBe(told);
});

test.each<[Code, string]>([
  [Code.Unauthenticated, "--token-file"],
  [Code.PermissionDenied, "nonResourceURLs"],
  [Code.NotFound, "what the picker says"],
  [Code.Unavailable, "Is the picker running"],
])("an answer of code %d says what to do", (code, text) => {
  expect(adminFailure("http://p", new ConnectError("what the picker says", code))).toContain(text);
});
