import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@pointsman/testkit";
import { generate } from "selfsigned";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ApiClient } from "./api-client.ts";
import { findAccess } from "./find-access.ts";
import { InClusterAccess } from "./in-cluster-access.ts";
import { kubeconfigAccess } from "./kubeconfig-access.ts";

const directory = mkdtempSync(join(tmpdir(), "pointsman-kubeconfig-"));
let server: Server;
let port = 0;
let ca = "";
let seen: { readonly authorization: string | undefined; readonly subject: string | undefined; readonly as: unknown }[] =
  [];
let refuse = false;

async function pair(name: string): Promise<{ readonly cert: string; readonly private: string }> {
  return await generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    extensions: [
      { name: "basicConstraints", cA: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: name },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
}

let client: { readonly cert: string; readonly private: string };
beforeAll(async () => {
  const own = await pair("api.test");
  client = await pair("someone");
  ca = own.cert;
  server = createServer(
    { cert: own.cert, key: own.private, ca: client.cert, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const certificate = (request.socket as import("node:tls").TLSSocket).getPeerCertificate();
      seen.push({
        authorization: request.headers.authorization,
        subject: certificate.subject?.CN as string | undefined,
        as: request.headers["impersonate-user"],
      });
      response.writeHead(refuse ? 401 : 200, { "content-type": "application/json" });
      response.end(refuse ? '{"message":"Unauthorized","reason":"Unauthorized"}' : "{}");
      refuse = false;
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
  rmSync(directory, { recursive: true });
});

const base64 = (text: string): string => Buffer.from(text).toString("base64");
function write(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}
function config(user: string, cluster = `certificate-authority-data: ${base64(ca)}`): string {
  return `apiVersion: v1
kind: Config
current-context: here
contexts:
- {name: elsewhere, context: {cluster: none, user: none}}
- {name: here, context: {cluster: test, user: someone, namespace: team}}
clusters:
- name: test
  cluster:
    server: https://127.0.0.1:${port}
    ${cluster}
users:
- name: someone
  user: ${user}
`;
}
async function ask(access: Awaited<ReturnType<typeof kubeconfigAccess>>) {
  seen = [];
  await new ApiClient(access).send({ method: "GET", path: "/version" });
  return seen.at(-1)!;
}

test("a token, with the cluster's own certificate authority", async () => {
  const access = await kubeconfigAccess([write("token", config("{token: secret, as: other}"))], new FakeClock());
  expect(access.namespace).toBe("team");
  expect(await ask(access)).toMatchObject({ authorization: "Bearer secret", as: "other" });
});

test("a server that another authority vouches for is refused", async () => {
  const cluster = `certificate-authority-data: ${base64(client.cert)}`;
  const access = await kubeconfigAccess([write("wrong-ca", config("{token: secret}", cluster))], new FakeClock());
  seen = [];
  await expect(ask(access)).rejects.toThrow(/certificate/);
  expect(seen).toEqual([]);
});

test("insecure-skip-tls-verify, tls-server-name and a path of the server are honoured", async () => {
  const insecure = write("insecure", config("{token: secret}", "insecure-skip-tls-verify: true"));
  expect(await ask(await kubeconfigAccess([insecure], new FakeClock()))).toMatchObject({
    authorization: "Bearer secret",
  });
  const named = `certificate-authority-data: ${base64(ca)}\n    tls-server-name: api.test`;
  expect(
    await ask(await kubeconfigAccess([write("named", config("{token: t}", named))], new FakeClock())),
  ).toBeDefined();
});

test("client certificates and other material, also from files beside the kubeconfig", async () => {
  write("client.crt", client.cert);
  write("client.key", client.private);
  write("ca.crt", ca);
  const path = write(
    "certificates",
    config("{client-certificate: client.crt, client-key: client.key}", "certificate-authority: ca.crt"),
  );
  expect(await ask(await kubeconfigAccess([path], new FakeClock()))).toMatchObject({
    authorization: undefined,
    subject: "someone",
  });
});

test("user name and password", async () => {
  const access = await kubeconfigAccess([write("basic", config("{username: u, password: p}"))], new FakeClock());
  expect((await ask(access)).authorization).toBe(`Basic ${base64("u:p")}`);
});

test("a token file is read again after a minute, and at once when the token is refused", async () => {
  const clock = new FakeClock();
  write("token.txt", "first\n");
  const access = await kubeconfigAccess([write("file", config("{tokenFile: token.txt}"))], clock);
  expect((await ask(access)).authorization).toBe("Bearer first");
  write("token.txt", "second");
  expect((await ask(access)).authorization).toBe("Bearer first");
  clock.advance(60_000);
  expect((await ask(access)).authorization).toBe("Bearer second");
  write("token.txt", "third");
  refuse = true;
  expect((await ask(access)).authorization).toBe("Bearer third");
});

test("of several files the first entry of a name counts, and the first current context", async () => {
  const first = write("first", "current-context: here\nusers: [{name: someone, user: {token: first}}]\n");
  const second = write(
    "second",
    config("{token: second}").replace("current-context: here", "current-context: elsewhere"),
  );
  expect((await ask(await kubeconfigAccess([first, second], new FakeClock()))).authorization).toBe("Bearer first");
});

test("a command that gives the credentials is served by the client library", async () => {
  const answer = JSON.stringify({
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { token: "from a command" },
  });
  const command = write("answer.json", answer);
  const exec = `{exec: {apiVersion: client.authentication.k8s.io/v1, command: cat, args: ["${command}"], interactiveMode: Never}}`;
  const access = await kubeconfigAccess([write("exec", config(exec))], new FakeClock());
  expect((await ask(access)).authorization).toBe("Bearer from a command");
});

test.each([
  ["no context", "current-context: nowhere\n", 'no context "nowhere"'],
  ["no cluster", "current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\n", 'the cluster "b"'],
  [
    "no URL",
    "current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\nclusters: [{name: b, cluster: {server: 'ftp://x'}}]\n",
    'server "ftp://x"',
  ],
  ["no YAML", "{", "is no kubeconfig"],
])("what is wrong with a kubeconfig is told with its path: %s", async (name, text, problem) => {
  const path = write(name.replace(" ", "-"), text);
  const found = findAccess({ KUBECONFIG: path }, new FakeClock());
  await expect(found).rejects.toThrow(problem);
  await expect(found).rejects.toThrow(path);
});

test("KUBECONFIG comes before the home directory; without anything it is told what was looked for", async () => {
  const path = write("named-by-variable", config("{token: t}"));
  expect((await findAccess({ KUBECONFIG: path, HOME: "/nowhere" }, new FakeClock())).origin).toBe(path);
  await expect(findAccess({ HOME: directory }, new FakeClock())).rejects.toThrow("KUBECONFIG is not set");
  await expect(findAccess({ KUBECONFIG: "/nowhere/config" }, new FakeClock())).rejects.toThrow("/nowhere/config");
});

test("a pod's service account: token and authority are read again, the namespace is known", async () => {
  const clock = new FakeClock();
  write("token", "one");
  write("ca.crt", ca);
  write("namespace", "team\n");
  const access = new InClusterAccess({ host: "127.0.0.1", port: String(port), directory, clock });
  expect(access.namespace).toBe("team");
  expect((await ask(access)).authorization).toBe("Bearer one");
  write("token", "two");
  clock.advance(60_000);
  expect((await ask(access)).authorization).toBe("Bearer two");
  rmSync(join(directory, "token"));
  clock.advance(60_000);
  expect((await ask(access)).authorization).toBe("Bearer two");
});

test("IPv6 addresses of the API server stand in brackets", () => {
  const access = new InClusterAccess({ host: "fd00::1", port: "443", directory, clock: new FakeClock() });
  expect(access.server.href).toBe("https://[fd00::1]/");
});
