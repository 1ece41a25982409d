import type { TlsOptions } from "node:tls";
import { generate, type SubjectAltNameExtension } from "selfsigned";
import { afterEach, expect, test } from "vitest";
import { always, PageServer, until } from "../test/page-server.ts";
import { ScrapeFixture, type SourceOptions } from "../test/scrape-fixture.ts";

const subjectAltName: SubjectAltNameExtension = { name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] };
const pem = await generate([{ name: "commonName", value: "model-server" }], {
  keyType: "ec",
  extensions: [subjectAltName],
});
const otherPem = await generate([{ name: "commonName", value: "somebody-else" }], {
  keyType: "ec",
  extensions: [subjectAltName],
});
const clientPem = await generate([{ name: "commonName", value: "pointsman" }], { keyType: "ec" });

const running: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const each of running.splice(0)) await each.close();
});

async function scrapeTls(source: SourceOptions, tls: TlsOptions = {}): Promise<ScrapeFixture> {
  const server = await PageServer.listen(always("up 1\n"), { tls: { key: pem.private, cert: pem.cert, ...tls } });
  const fixture = new ScrapeFixture([
    {
      target: ({ metadata }) => ({ scheme: "https", host: metadata.address, port: metadata.port, path: "/metrics" }),
      ...source,
    },
  ]);
  running.push({ close: () => fixture.scraper.stop() }, server);
  fixture.scraper.start();
  fixture.add("a", server.port);
  await until("a page or the complaint", () => fixture.pages.length > 0 || fixture.log.length > 0);
  return fixture;
}

test("with insecureSkipVerify any certificate will do", async () => {
  const fixture = await scrapeTls({ tls: { insecureSkipVerify: true } });
  expect(fixture.pages[0]!.text).toBe("up 1\n");
});

test("a certificate that nobody vouches for is refused, and the endpoint is not down", async () => {
  const fixture = await scrapeTls({ tls: { insecureSkipVerify: false } });
  expect(fixture.pages).toEqual([]);
  expect(fixture.log[0]!.fields["reason"]).toBe("self-signed certificate (DEPTH_ZERO_SELF_SIGNED_CERT)");
  expect(fixture.log[0]!.fields["look"]).toMatch(/^curl -skv https:\/\/127\.0\.0\.1:\d+\/metrics$/);
  expect(fixture.store.get("default/a")!.reachability).toBe("unknown");
});

test("without TLS settings an https page is verified", async () => {
  const fixture = await scrapeTls({});
  expect(fixture.pages).toEqual([]);
  expect(fixture.log[0]!.fields["reason"]).toMatch(/self-signed certificate/);
});

test("a certificate of the given authority is accepted", async () => {
  const fixture = await scrapeTls({ tls: { insecureSkipVerify: false, ca: pem.cert } });
  expect(fixture.pages[0]!.text).toBe("up 1\n");
});

test("a certificate of another authority is refused", async () => {
  const fixture = await scrapeTls({ tls: { insecureSkipVerify: false, ca: otherPem.cert } });
  expect(fixture.pages).toEqual([]);
});

test("the client certificate is shown to a server that asks for one", async () => {
  const asking = { requestCert: true, rejectUnauthorized: true, ca: clientPem.cert };
  const tls = { insecureSkipVerify: true, cert: clientPem.cert, key: clientPem.private };
  expect((await scrapeTls({ tls }, asking)).pages[0]!.text).toBe("up 1\n");
  expect((await scrapeTls({ tls: { insecureSkipVerify: true } }, asking)).pages).toEqual([]);
});

test("certificates that cannot be used are refused when the scraper is made", () => {
  expect(() => new ScrapeFixture([{ tls: { insecureSkipVerify: true, cert: "not a certificate" } }])).toThrow();
});
