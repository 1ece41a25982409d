import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { EppError, errorText } from "@pointsman/core";
import type { RpcTls } from "@pointsman/grpc-transport";
import { generate } from "selfsigned";

const tenYearsMs = 10 * 365 * 24 * 3600 * 1000;

/** Makes a certificate that nobody signed: clients must skip verification, as with the Go picker's default. */
export async function selfSignedTls(): Promise<RpcTls> {
  const pems = await generate([{ name: "organizationName", value: "Inference Ext" }], {
    keyType: "ec",
    algorithm: "sha256",
    notAfterDate: new Date(Date.now() + tenYearsMs),
  });
  return { cert: pems.cert, key: pems.private };
}

/** Reads `tls.crt` and `tls.key` from a folder. */
export async function loadTls(directory: string): Promise<RpcTls> {
  const read = async (name: string): Promise<string> => {
    const file = join(directory, name);
    try {
      return await readFile(file, "utf8");
    } catch (thrown: unknown) {
      throw new EppError("EPP_TLS_UNREADABLE", `--cert-path: cannot read ${file}: ${errorText(thrown)}`, {
        cause: thrown,
      });
    }
  };
  return { cert: await read("tls.crt"), key: await read("tls.key") };
}
