import { writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { type ConnectionOptions, connect } from "node:tls";
import { credentials } from "@grpc/grpc-js";
import { generate } from "selfsigned";
import { afterEach, beforeAll, expect, test } from "vitest";
import { ExtProcStream, endAll, modelServer, pickerFlags, startPicker, temporaryFolder } from "./picker.ts";

afterEach(endAll);

interface Pair {
  readonly cert: string;
  readonly key: string;
}
let first: Pair;
let second: Pair;
/** Two authorities, and a client of each. */
let ca: Pair;
let otherCa: Pair;
let client: Pair;
let stranger: Pair;
beforeAll(async () => {
  const make = async (name: string, by?: Pair): Promise<Pair> => {
    const made = await generate([{ name: "commonName", value: name }], {
      keyType: "ec",
      algorithm: "sha256",
      ...(by === undefined ? {} : { ca: by }),
      ...(name.endsWith("ca")
        ? { extensions: [{ name: "basicConstraints", cA: true, critical: true } as const] }
        : undefined),
    });
    return { cert: made.cert, key: made.private };
  };
  [first, second, ca, otherCa] = await Promise.all([make("first"), make("second"), make("ca"), make("other-ca")]);
  [client, stranger] = await Promise.all([make("client", ca), make("stranger", otherCa)]);
});

function certificateFolder(pair: Pair): string {
  const folder = temporaryFolder();
  writePair(folder, pair);
  return folder;
}
function writePair(folder: string, { cert, key }: Pair): void {
  writeFileSync(join(folder, "tls.crt"), cert);
  writeFileSync(join(folder, "tls.key"), key);
}

/** Name in the server's certificate, or the error of the handshake. */
function nameAt(port: number, options: ConnectionOptions = {}): Promise<unknown> {
  return new Promise((resolve) => {
    const socket = connect(
      { host: "127.0.0.1", servername: "", port, rejectUnauthorized: false, ALPNProtocols: ["h2"], ...options },
      () => {
        resolve(socket.getPeerCertificate().subject.CN);
        socket.destroy();
      },
    );
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}
function page(port: number, path: string, pair?: Pair): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    request(
      { host: "127.0.0.1", servername: "", port, path, rejectUnauthorized: false, agent: false, ...pair },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      },
    )
      .on("error", reject)
      .end();
  });
}
const models = (): Promise<number> => modelServer((_request, response) => response.end(""));

test.each(["http2", "grpc-js"])("a changed certificate of the ext_proc port is used, on %s", async (transport) => {
  const folder = certificateFolder(first);
  const { ports } = await startPicker([
    ...pickerFlags(await models()),
    ...["--cert-path", folder, "--enable-cert-reload", `--ext-proc-transport=${transport}`],
  ]);
  expect(await nameAt(ports.extProc)).toBe("first");
  const open = new ExtProcStream(
    ports.extProc,
    credentials.createSsl(Buffer.from(first.cert), null, null, { checkServerIdentity: () => undefined }),
  ).request();
  await expect.poll(() => open.requestHeadersSet()).toBeDefined();
  const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();

  writeFileSync(join(folder, "tls.crt"), second.cert);
  await expect.poll(metrics).toMatch(/certificate_reloads_total\{[^}]*result="failure"[^}]*\} 1/);
  expect(await nameAt(ports.extProc)).toBe("first");
  writePair(folder, second);
  await expect.poll(() => nameAt(ports.extProc)).toBe("second");
  await expect.poll(metrics).toMatch(/certificate_reloads_total\{[^}]*result="success"[^}]*\} 1/);
  open.response().end();
  expect(await open.ended).toBe(0);
});

test("without --enable-cert-reload the certificate of the start stays", async () => {
  const folder = certificateFolder(first);
  const { ports } = await startPicker([...pickerFlags(await models()), "--cert-path", folder]);
  writePair(folder, second);
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(await nameAt(ports.extProc)).toBe("first");
});

test.each(["http2", "grpc-js"])("lowest version and suites hold on %s", async (transport) => {
  const flags = [
    ...pickerFlags(await models()),
    "--cert-path",
    certificateFolder(first),
    `--ext-proc-transport=${transport}`,
  ];
  const strict = await startPicker([...flags, "--tls-min-version=VersionTLS13"]);
  expect(await nameAt(strict.ports.extProc, { maxVersion: "TLSv1.2" })).toMatch(/ERR_SSL.*VERSION/);
  expect(await nameAt(strict.ports.extProc)).toBe("first");
  const narrow = await startPicker([...flags, "--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]);
  const old = { maxVersion: "TLSv1.2" } as const;
  expect(await nameAt(narrow.ports.extProc, { ...old, ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" })).toMatch(/ERR_SSL/);
  expect(await nameAt(narrow.ports.extProc, { ...old, ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" })).toBe("first");
});

test("a certificate that is missing stops the start, by name", async () => {
  const flags = pickerFlags(await models());
  const empty = temporaryFolder();
  await expect(startPicker([...flags, "--cert-path", empty])).rejects.toThrow(/--cert-path: cannot read .*tls\.crt/);
  await expect(startPicker([...flags, "--metrics-cert-dir", empty])).rejects.toThrow(
    /--metrics-cert-dir: cannot read .*tls\.crt/,
  );
  const withoutCa = ["--metrics-cert-dir", certificateFolder(first), "--metrics-client-ca-file", join(empty, "ca.crt")];
  await expect(startPicker([...flags, ...withoutCa])).rejects.toThrow(
    /--metrics-client-ca-file: cannot read .*ca\.crt/,
  );
});

test("the metrics port speaks TLS from 1.2 on, and follows its files", async () => {
  const folder = certificateFolder(first);
  const { ports } = await startPicker([...pickerFlags(await models()), "--metrics-cert-dir", folder]);
  expect(await page(ports.metrics, "/metrics")).toMatchObject({ status: 200 });
  const http1 = { ALPNProtocols: ["http/1.1"] };
  expect(await nameAt(ports.metrics, { ...http1, maxVersion: "TLSv1.1", minVersion: "TLSv1.1" })).not.toBe("first");
  writePair(folder, second);
  await expect.poll(() => nameAt(ports.metrics, http1)).toBe("second");
});

test("with a client CA, only clients with a certificate of it are served, also after it changes", async () => {
  const caFile = join(temporaryFolder(), "ca.crt");
  writeFileSync(caFile, ca.cert);
  const { ports } = await startPicker([
    ...pickerFlags(await models()),
    ...["--metrics-cert-dir", certificateFolder(first), "--metrics-client-ca-file", caFile],
  ]);
  expect(await page(ports.metrics, "/metrics", client)).toMatchObject({ status: 200 });
  await expect(page(ports.metrics, "/metrics")).rejects.toThrow();
  await expect(page(ports.metrics, "/debug/pprof/cmdline", stranger)).rejects.toThrow();
  writeFileSync(caFile, otherCa.cert);
  await expect
    .poll(() =>
      page(ports.metrics, "/metrics", stranger).then(
        ({ status }) => status,
        () => 0,
      ),
    )
    .toBe(200);
  await expect(page(ports.metrics, "/metrics", client)).rejects.toThrow();
});
