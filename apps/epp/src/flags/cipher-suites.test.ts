import { createSecureContext } from "node:tls";
import { expect, test } from "vitest";
import { cipherSuites } from "./cipher-suites.ts";

const tls13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

test("no names leave the choice to the server", () => {
  expect(cipherSuites([])).toEqual({ ciphers: undefined, problems: [], warnings: [] });
});

test("Go's names become OpenSSL's in their order, behind those of TLS 1.3, each once", () => {
  const names = [
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    " TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
  ];
  const { ciphers, problems } = cipherSuites(names);
  expect(problems).toEqual([]);
  expect(ciphers).toBe(`${tls13}:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305`);
  expect(() => createSecureContext({ ciphers })).not.toThrow();
});

test("an unknown name is told with the nearest one, and a suite that OpenSSL lacks by its name", () => {
  expect(
    cipherSuites(["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265", "TLS_RSA_WITH_RC4_128_SHA", "nonsense"]).problems,
  ).toEqual([
    '--tls-cipher-suites: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265" is not a cipher suite; did you mean TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256?',
    "--tls-cipher-suites: TLS_RSA_WITH_RC4_128_SHA cannot be honoured: OpenSSL, which does TLS here, does not contain it",
    '--tls-cipher-suites: "nonsense" is not a cipher suite',
  ]);
});

test("suites that HTTP/2 takes for too weak are used, and said", () => {
  const { ciphers, warnings } = cipherSuites(["TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
  expect(ciphers).toBe(`${tls13}:AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256`);
  expect(warnings).toEqual([
    "--tls-cipher-suites: HTTP/2 clients may refuse TLS_RSA_WITH_AES_128_CBC_SHA, which RFC 9113 takes for too weak",
  ]);
});
