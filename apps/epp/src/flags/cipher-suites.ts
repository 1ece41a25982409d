import { getCiphers } from "node:tls";
import { nearestName } from "@pointsman/core";

/** Suites of TLS 1.3, which Go does not let anybody choose from: all are offered, named or not. */
const tls13Suites: readonly string[] = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
];

/** Go's names of suites up to TLS 1.2, with OpenSSL's. Source: Go's crypto/tls and the IANA registry. */
const openSslNames: ReadonlyMap<string, string> = new Map([
  ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256"],
  ["TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"],
  ["TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"],
  ["TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"],
  ["TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA"],
  ["TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256"],
  ["TLS_RSA_WITH_3DES_EDE_CBC_SHA", "DES-CBC3-SHA"],
  ["TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", "ECDHE-RSA-DES-CBC3-SHA"],
  ["TLS_RSA_WITH_RC4_128_SHA", "RC4-SHA"],
  ["TLS_ECDHE_RSA_WITH_RC4_128_SHA", "ECDHE-RSA-RC4-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", "ECDHE-ECDSA-RC4-SHA"],
]);

export interface CipherChoice {
  /** Suites in OpenSSL's notation; `undefined` when none were named. */
  readonly ciphers: string | undefined;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Turns Go's names of cipher suites into a list for OpenSSL. As in Go, the choice concerns TLS 1.2 only: with names of
 * TLS 1.3 alone, TLS 1.2 has no suite left and is not spoken.
 */
export function cipherSuites(names: readonly string[]): CipherChoice {
  const flag = "--tls-cipher-suites";
  const offered = new Set(getCiphers());
  const chosen = new Set<string>(tls13Suites);
  const problems: string[] = [];
  const weak: string[] = [];
  for (const given of names) {
    const name = given.trim();
    if (tls13Suites.includes(name)) continue;
    const openSslName = openSslNames.get(name);
    if (openSslName === undefined) {
      const near = nearestName(name, [...openSslNames.keys(), ...tls13Suites]);
      problems.push(
        `${flag}: ${JSON.stringify(name)} is not a cipher suite${near === undefined ? "" : `; did you mean ${near}?`}`,
      );
    } else if (!offered.has(openSslName.toLowerCase())) {
      problems.push(`${flag}: ${name} cannot be honoured: OpenSSL, which does TLS here, does not contain it`);
    } else {
      chosen.add(openSslName);
      if (!/^ECDHE-.*(GCM|POLY1305)/.test(openSslName)) weak.push(name);
    }
  }
  const warnings =
    weak.length === 0
      ? []
      : [`${flag}: HTTP/2 clients may refuse ${weak.join(", ")}, which RFC 9113 takes for too weak`];
  return { ciphers: names.length === 0 ? undefined : [...chosen].join(":"), problems, warnings };
}
