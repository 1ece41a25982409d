import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { EppError, errorText, type PollTls } from "@pointsman/core";
import type { HttpSourceParams } from "./http-source-params.ts";

const maxFileBytes = 1024 * 1024;

/**
 * Reads the certificates and keys that the parameters name; relative paths start at `baseDirectory`.
 * Throws for a file that cannot be read, for one without valid PEM, and for half a client pair.
 */
export function readTlsFiles(params: HttpSourceParams, baseDirectory: string): PollTls {
  const { insecureSkipVerify, caCertPath, clientCertPath, clientKeyPath } = params;
  if ((clientCertPath === undefined) !== (clientKeyPath === undefined)) {
    const [given, missing] =
      clientKeyPath === undefined ? ["clientCertPath", "clientKeyPath"] : ["clientKeyPath", "clientCertPath"];
    throw problem(`${given} is given without ${missing}; a client certificate needs both`);
  }
  const read = <T>(name: string, path: string, check: (pem: string) => T): string => {
    const file = resolve(baseDirectory, path);
    try {
      const pem = readPem(file);
      check(pem);
      return pem;
    } catch (thrown) {
      throw problem(`${name} ${file}: ${errorText(thrown)}`, thrown);
    }
  };
  const ca =
    insecureSkipVerify || caCertPath === undefined ? undefined : read("caCertPath", caCertPath, certificatesIn);
  if (clientCertPath === undefined || clientKeyPath === undefined) {
    return { insecureSkipVerify, ...(ca === undefined ? {} : { ca }) };
  }
  const cert = read("clientCertPath", clientCertPath, certificatesIn);
  const key = read("clientKeyPath", clientKeyPath, (pem) => createPrivateKey(pem));
  if (!certificatesIn(cert)[0]!.checkPrivateKey(createPrivateKey(key))) {
    throw problem(
      `the key in clientKeyPath ${resolve(baseDirectory, clientKeyPath)} does not belong to the first certificate in ` +
        `clientCertPath ${resolve(baseDirectory, clientCertPath)}`,
    );
  }
  return { insecureSkipVerify, cert, key, ...(ca === undefined ? {} : { ca }) };
}

function readPem(file: string): string {
  const stat = statSync(file);
  if (!stat.isFile()) throw new Error("is not a regular file");
  if (stat.size > maxFileBytes) throw new Error(`is larger than ${maxFileBytes} bytes`);
  return readFileSync(file, "utf8");
}

function certificatesIn(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error("holds no PEM certificate");
  return blocks.map((block) => new X509Certificate(block));
}

function problem(message: string, cause?: unknown): EppError {
  return new EppError("EPP_CONFIG_CREATE_FAILED", message, { cause });
}
