import { createPrivateKey, X509Certificate } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { EppError, errorText } from "@pointsman/core";

/** Where the certificates of a server are. */
export interface CertificateFiles {
  /** Flag that names the folder, for messages. */
  readonly flag: string;
  /** Folder with `tls.crt` and `tls.key`. */
  readonly directory: string;
  /** Certificates that client certificates are checked against. */
  readonly clientCa?: { readonly flag: string; readonly file: string };
}

/** Contents of the files, PEM. */
export interface Certificates {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | undefined;
}

/** A larger file is no certificate. */
const maxFileBytes = 1024 * 1024;

/**
 * Reads the files and checks that they can serve. Errors name flag, file and reason: `EPP_TLS_UNREADABLE`, and
 * `EPP_TLS_INVALID` when certificate and key do not fit together or a file is no PEM.
 */
export async function readCertificates(files: CertificateFiles): Promise<Certificates> {
  const { flag, directory } = files;
  const certFile = join(directory, "tls.crt");
  const [cert, key] = [await readText(flag, certFile), await readText(flag, join(directory, "tls.key"))];
  try {
    createSecureContext({ cert, key });
    // OpenSSL keeps pairs by the type of their keys, so that an RSA key beside an ECDSA certificate is fine with it.
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
      throw new Error("tls.key is not the key of the certificate");
    }
  } catch (thrown: unknown) {
    throw new EppError(
      "EPP_TLS_INVALID",
      `--${flag}: ${certFile} and tls.key beside it are no pair that can serve: ${errorText(thrown)}`,
      { cause: thrown },
    );
  }
  if (files.clientCa === undefined) return { cert, key, clientCa: undefined };
  const { flag: caFlag, file } = files.clientCa;
  const clientCa = await readText(caFlag, file);
  const blocks = clientCa.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new EppError("EPP_TLS_INVALID", `--${caFlag}: ${file} holds no certificate in PEM`);
  try {
    for (const block of blocks) new X509Certificate(block);
  } catch (thrown: unknown) {
    throw new EppError("EPP_TLS_INVALID", `--${caFlag}: ${file} holds a broken certificate: ${errorText(thrown)}`, {
      cause: thrown,
    });
  }
  return { cert, key, clientCa };
}

async function readText(flag: string, file: string): Promise<string> {
  try {
    const handle = await open(file, "r");
    try {
      const { size } = await handle.stat();
      if (size > maxFileBytes) throw new Error(`it has ${size} bytes, more than ${maxFileBytes}`);
      return await handle.readFile("utf8");
    } finally {
      await handle.close();
    }
  } catch (thrown: unknown) {
    throw new EppError("EPP_TLS_UNREADABLE", `--${flag}: cannot read ${file}: ${errorText(thrown)}`, { cause: thrown });
  }
}
