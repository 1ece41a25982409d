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
