import { createPrivateKey, X509Certificate } from "node:crypto";
import { type FSWatcher, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { EppError, errorText, type Logger } from "@pointsman/core";
import { generate } from "selfsigned";

/** A certificate and its key, PEM. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

const tenYearsMs = 10 * 365 * 24 * 3600 * 1000;
/** Files are read when nothing has happened in their folder for this long. */
const settleMs = 250;
/** And this often without news, for what the operating system does not tell. */
const lookIntervalMs = 10_000;

/** Makes a certificate that nobody signed: clients must skip verification. */
export async function selfSignedPair(): Promise<CertificatePair> {
  const pems = await generate([{ name: "organizationName", value: "llm-d Routing Sidecar" }], {
    keyType: "ec",
    algorithm: "sha256",
    notAfterDate: new Date(Date.now() + tenYearsMs),
  });
  return { cert: pems.cert, key: pems.private };
}

/** Reads `tls.crt` and `tls.key` of a folder. Throws `PD_SIDECAR_TLS` when they are no pair that can serve. */
export function readPair(directory: string): CertificatePair {
  try {
    const pair = {
      cert: readFileSync(join(directory, "tls.crt"), "utf8"),
      key: readFileSync(join(directory, "tls.key"), "utf8"),
    };
    createSecureContext(pair);
    // OpenSSL keeps pairs by the type of their keys, so that an RSA key beside an ECDSA certificate is fine with it.
    if (!new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key))) {
      throw new Error("tls.key is not the key of the certificate");
    }
    return pair;
  } catch (thrown: unknown) {
    throw new EppError("PD_SIDECAR_TLS", `--cert-path=${directory}: ${errorText(thrown)}`, { cause: thrown });
  }
}

/** Hands over the pair of a folder whenever it changes. A pair that cannot serve is reported; the one in use stays. */
export function watchPair(
  directory: string,
  current: CertificatePair,
  use: (pair: CertificatePair) => void,
  logger: Logger,
): { stop(): void } {
  let inUse = current;
  let settle: NodeJS.Timeout | undefined;
  let lastProblem: string | undefined;
  const look = (): void => {
    try {
      const pair = readPair(directory);
      lastProblem = undefined;
      if (pair.cert === inUse.cert && pair.key === inUse.key) return;
      use(pair);
      inUse = pair;
      logger.info({ directory }, "certificate reloaded");
    } catch (thrown: unknown) {
      const problem = errorText(thrown);
      if (problem !== lastProblem) logger.error({ problem }, "certificate not reloaded; the one in use stays");
      lastProblem = problem;
    }
  };
  const changed = (): void => {
    clearTimeout(settle);
    settle = setTimeout(look, settleMs);
  };
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(directory, { persistent: false }, changed);
    watcher.on("error", () => watcher?.close());
  } catch (thrown: unknown) {
    logger.warn({ directory, problem: errorText(thrown) }, "the folder cannot be watched; it is looked at every 10 s");
  }
  const timer = setInterval(look, lookIntervalMs);
  timer.unref();
  return {
    stop: () => {
      clearTimeout(settle);
      clearInterval(timer);
      watcher?.close();
    },
  };
}
