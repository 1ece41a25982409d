import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@pointsman/core";
import { FakeClock } from "@pointsman/testkit";
import { generate } from "selfsigned";
import { afterEach, beforeAll, expect, test } from "vitest";
import { type Certificates, readCertificates } from "./certificate-files.ts";
import { CertificateWatch } from "./certificate-watch.ts";
import { lookIntervalMs, settleMs } from "./folder-watch.ts";

type Pair = Pick<Certificates, "cert" | "key">;
const pairs: Pair[] = [];
const rsaKey = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
}).privateKey;
beforeAll(async () => {
  for (const name of ["one", "two"]) {
    const made = await generate([{ name: "commonName", value: name }], { keyType: "ec" });
    pairs.push({ cert: made.cert, key: made.private });
  }
});
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "epp-certs-"));
  ends.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}
function write(directory: string, { cert, key }: Pair): void {
  writeFileSync(join(directory, "tls.crt"), cert);
  writeFileSync(join(directory, "tls.key"), key);
}

/** A watch with what it did, on a clock that moves with each look at it. */
async function watched(directory: string, caFile?: string) {
  const clock = new FakeClock();
  const used: Certificates[] = [];
  const errors: unknown[] = [];
  const counts = { succeeded: 0, failed: 0 };
  const files = {
    flag: "cert-path",
    directory,
    ...(caFile === undefined ? {} : { clientCa: { flag: "metrics-client-ca-file", file: caFile } }),
  };
  const watch = new CertificateWatch({
    files,
    current: await readCertificates(files),
    use: (certificates) => {
      used.push(certificates);
    },
    timers: clock.timers,
    logger: { ...silentLogger, error: (fields) => errors.push(fields["problem"]) },
    succeeded: { inc: () => counts.succeeded++ },
    failed: { inc: () => counts.failed++ },
  });
  ends.push(() => watch.stop());
  // The folder is watched once the first look is over.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const settle = <T>(look: () => T) =>
    expect.poll(() => {
      clock.advance(settleMs);
      return look();
    });
  return { clock, used, errors, counts, settle, watch };
}

test("a pair that changes is used, once it has rested", async () => {
  const directory = folder();
  write(directory, pairs[0]!);
  const { used, counts, settle } = await watched(directory);
  write(directory, pairs[1]!);
  await settle(() => used.map(({ cert }) => cert)).toEqual([pairs[1]!.cert]);
  expect(counts).toEqual({ succeeded: 1, failed: 0 });
});

test("the swap of a symbolic link, as Kubernetes does it, is noticed, and the next one too", async () => {
  const directory = folder();
  const version = (name: string, pair: Pair): void => {
    mkdirSync(join(directory, name));
    write(join(directory, name), pair);
    symlinkSync(name, join(directory, "..data_tmp"));
    renameSync(join(directory, "..data_tmp"), join(directory, "..data"));
  };
  version("..first", pairs[0]!);
  for (const file of ["tls.crt", "tls.key"]) symlinkSync(join("..data", file), join(directory, file));
  const { used, settle } = await watched(directory);
  version("..second", pairs[1]!);
  await settle(() => used.length).toBe(1);
  version("..third", pairs[0]!);
  await settle(() => used.map(({ cert }) => cert)).toEqual([pairs[1]!.cert, pairs[0]!.cert]);
});

test("a pair that does not fit is reported once and not used; the repaired one is", async () => {
  const directory = folder();
  write(directory, pairs[0]!);
  const { used, errors, counts, settle, clock } = await watched(directory);
  writeFileSync(join(directory, "tls.key"), pairs[1]!.key);
  await settle(() => errors.length).toBe(1);
  expect(errors[0]).toContain(`--cert-path: ${join(directory, "tls.crt")}`);
  for (let i = 0; i < 3; i++) {
    clock.advance(lookIntervalMs);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(counts).toEqual({ succeeded: 0, failed: 1 });
  expect(used).toEqual([]);
  writeFileSync(join(directory, "tls.crt"), pairs[1]!.cert);
  await settle(() => counts).toEqual({ succeeded: 1, failed: 1 });
});

test("a key of another type than the certificate's is no pair", async () => {
  const directory = folder();
  write(directory, { cert: pairs[0]!.cert, key: rsaKey });
  const files = { flag: "cert-path", directory };
  await expect(readCertificates(files)).rejects.toMatchObject({
    code: "EPP_TLS_INVALID",
    message: expect.stringContaining("tls.key is not the key of the certificate"),
  });
});

test("a folder that is replaced is found by the regular look, and watched again", async () => {
  const parent = folder();
  const directory = join(parent, "certs");
  mkdirSync(directory);
  write(directory, pairs[0]!);
  const { used, settle, clock } = await watched(directory);
  renameSync(directory, join(parent, "old"));
  mkdirSync(directory);
  write(directory, pairs[1]!);
  await expect
    .poll(() => {
      clock.advance(lookIntervalMs);
      return used.length;
    })
    .toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  write(directory, pairs[0]!);
  await settle(() => used.length).toBe(2);
});

test("the client CA is followed in its own folder", async () => {
  const [directory, other] = [folder(), folder()];
  const caFile = join(other, "ca.crt");
  write(directory, pairs[0]!);
  writeFileSync(caFile, pairs[0]!.cert);
  const { used, settle } = await watched(directory, caFile);
  writeFileSync(caFile, `${pairs[0]!.cert}\n${pairs[1]!.cert}`);
  await settle(() => used.at(-1)?.clientCa).toContain(pairs[1]!.cert);
});

test("nothing is read after the stop", async () => {
  const directory = folder();
  write(directory, pairs[0]!);
  const { used, watch, clock } = await watched(directory);
  watch.stop();
  expect(clock.pendingTimers).toBe(0);
  write(directory, pairs[1]!);
  await new Promise((resolve) => setTimeout(resolve, 50));
  clock.advance(lookIntervalMs);
  expect(used).toEqual([]);
});

test.each([
  ["tls.crt", undefined, /--cert-path: cannot read .*tls\.crt: ENOENT/],
  ["tls.key", "nothing", /--cert-path: .*tls\.crt and tls\.key beside it are no pair/],
  ["tls.crt", "x".repeat(1024 * 1024 + 1), /more than 1048576/],
])("a start with %s of %s is refused with its name", async (file, text, message) => {
  const directory = folder();
  write(directory, pairs[0]!);
  if (text === undefined) rmSync(join(directory, file));
  else writeFileSync(join(directory, file), text);
  await expect(readCertificates({ flag: "cert-path", directory })).rejects.toThrow(message);
});

test.each([
  ["nothing", /holds no certificate in PEM/],
  ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", /holds a broken certificate/],
])("a client CA of %j is refused", async (text, message) => {
  const directory = folder();
  write(directory, pairs[0]!);
  writeFileSync(join(directory, "ca.crt"), text);
  const clientCa = { flag: "metrics-client-ca-file", file: join(directory, "ca.crt") };
  await expect(readCertificates({ flag: "metrics-cert-dir", directory, clientCa })).rejects.toThrow(message);
});
