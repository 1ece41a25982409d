import type { RpcTls } from "@pointsman/grpc-transport";
import type { ServeOptions } from "../flags/serve-options.ts";
import { type CertificateFiles, type Certificates, readCertificates } from "./certificate-files.ts";
import { selfSignedTls } from "./self-signed.ts";

type TlsFlags = Pick<ServeOptions, "secureServing" | "certPath" | "certReload" | "tlsMinVersion" | "tlsCiphers">;

export interface ExtProcTls {
  readonly tls: RpcTls;
  /** Files to follow, with what was read from them. */
  readonly follow: { readonly files: CertificateFiles; readonly current: Certificates } | undefined;
}

/** Certificates with the version and suites that the flags ask for. */
export function rpcTls({ cert, key }: Pick<Certificates, "cert" | "key">, options: TlsFlags): RpcTls {
  return {
    cert,
    key,
    ...(options.tlsMinVersion === undefined ? {} : { minVersion: options.tlsMinVersion }),
    ...(options.tlsCiphers === undefined ? {} : { ciphers: options.tlsCiphers }),
  };
}

/** TLS of the ext_proc port: from `--cert-path`, else with a certificate made now; `undefined` for plaintext. */
export async function extProcTls(options: TlsFlags): Promise<ExtProcTls | undefined> {
  if (!options.secureServing) return undefined;
  if (options.certPath === "") return { tls: rpcTls(await selfSignedTls(), options), follow: undefined };
  const files: CertificateFiles = { flag: "cert-path", directory: options.certPath };
  const current = await readCertificates(files);
  return { tls: rpcTls(current, options), follow: options.certReload ? { files, current } : undefined };
}
