import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { resolveOptions } from "./resolve-options.ts";
import type { SidecarOptions } from "./sidecar-options.ts";

function options(args: readonly string[], environment: Record<string, string> = {}): SidecarOptions {
  const resolved = resolveOptions(args, environment);
  if ("problems" in resolved) throw new Error(resolved.problems.join("\n"));
  return resolved.options;
}

function problems(args: readonly string[], environment: Record<string, string> = {}): readonly string[] {
  const resolved = resolveOptions(args, environment);
  return "problems" in resolved ? resolved.problems : [];
}

test("without settings the sidecar serves TLS on 8000 for a model server on 8200", () => {
  expect(options([])).toMatchObject({
    ranks: [{ port: 8000, decoder: { hostPort: "localhost:8200" } }],
    kvConnector: "nixlv2",
    ecConnector: undefined,
    secureProxy: true,
    mooncakeBootstrapPort: 8998,
    p2pConnectorPort: 7777,
    prefillMaxRetries: 0,
    prefillRetryBackoffMs: 200,
    maxIdleConnsPerHost: 1024,
    metrics: undefined,
    targets: { pool: undefined, hosts: undefined, file: undefined },
  });
});

test("ranks have ports that follow each other", () => {
  const { ranks } = options(["--data-parallel-size=3", "--port", "9000", "--model-server-port=9100"]);
  expect(ranks.map(({ port, decoder }) => [port, decoder.port])).toEqual([
    [9000, 9100],
    [9001, 9101],
    [9002, 9102],
  ]);
});

describe("where settings come from", () => {
  test("a flag beats configuration, configuration the environment, the environment the default", () => {
    const environment = { P2P_CONNECTOR_PORT: "1" };
    expect(options([], environment).p2pConnectorPort).toBe(1);
    expect(options(["--configuration={p2p-connector-port: 2}"], environment).p2pConnectorPort).toBe(2);
    expect(
      options(["--configuration={p2p-connector-port: 2}", "--p2p-connector-port=3"], environment).p2pConnectorPort,
    ).toBe(3);
  });

  test("the model server's port: each name as a flag before each name in the configuration", () => {
    const port = (...args: string[]) => options(args).ranks[0]!.decoder.port;
    expect(port("--vllm-port=1")).toBe(1);
    expect(port("--vllm-port=1", "--model-server-port=2")).toBe(2);
    expect(port("--vllm-port=1", "--configuration={model-server-port: 3}")).toBe(1);
    expect(port("--configuration={model-server-port: 3, vllm-port: 4}")).toBe(3);
    expect(port("--configuration={vllm-port: 4}")).toBe(4);
  });

  test("zero and empty values in a configuration are not given, but for booleans and prefill-max-retries", () => {
    const text = "{port: 0, kv-connector: '', enable-tls: [], secure-proxy: false, prefill-max-retries: 0}";
    expect(options([`--configuration=${text}`])).toMatchObject({
      ranks: [{ port: 8000 }],
      kvConnector: "nixlv2",
      secureProxy: false,
      prefillMaxRetries: 0,
    });
  });

  test("a configuration file is read; both ways at once are refused", () => {
    const directory = mkdtempSync(join(tmpdir(), "pd-sidecar-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = join(directory, "sidecar.yaml");
    writeFileSync(
      file,
      "kv-connector: sglang\nenable-tls: [prefiller, decoder]\ntls-insecure-skip-verify: [decoder]\n",
    );
    expect(options(["--configuration-file", file])).toMatchObject({
      kvConnector: "sglang",
      tls: { prefill: { skipVerify: false }, decode: { skipVerify: true }, encode: undefined },
    });
    expect(problems(["--configuration-file", file, "--configuration={}"])).toEqual([
      "flags --configuration and --configuration-file are mutually exclusive",
    ]);
  });

  test("lists may be repeated and separated by commas", () => {
    expect(options(["--enable-tls=prefiller", "--enable-tls", "decoder,encoder"]).tls).toEqual({
      prefill: { skipVerify: false },
      decode: { skipVerify: false },
      encode: { skipVerify: false },
    });
  });

  test("a boolean of the environment that is none is ignored", () => {
    expect(options([], { ENABLE_PREFILLER_SAMPLING: "yes please" }).prefillerSampling).toBe(false);
    expect(options([], { ENABLE_PREFILLER_SAMPLING: "T" }).prefillerSampling).toBe(true);
  });

  test("a pool is watched where it can be, unless that is switched off", () => {
    const environment = { INFERENCE_POOL: "pool" };
    const pool = { namespace: "default", name: "pool", group: "inference.networking.k8s.io" };
    expect(options([], environment).targets).toMatchObject({ pool, poolRequired: false });
    expect(options(["--enable-ssrf-protection"], environment).targets).toMatchObject({ pool, poolRequired: true });
    expect(options(["--enable-ssrf-protection=false"], environment).targets.pool).toBeUndefined();
    expect(options(["--inference-pool=ns/p"]).targets.pool).toMatchObject({ namespace: "ns", name: "p" });
  });
});

describe("what is refused", () => {
  test.each([
    [["--port=abc"], '--port must be a valid integer, got "abc"'],
    [["--port=0"], "--port start port 0 is out of valid range [1, 65535]"],
    [["--port=65535", "--data-parallel-size=2"], "--port port range [65535, 65536] exceeds maximum port value"],
    [["--data-parallel-size=65535"], "--port invalid port range"],
    [["--kv-connector=lmcache"], "--kv-connector must be one of: nixlv2, shared-storage, sglang, mooncake, offloading"],
    [["--enable-tls=all"], "--enable-tls stages must be one of: prefiller, decoder, encoder"],
    [["--inference-pool=a/b/c"], "--inference-pool must be in format 'namespace/name' or 'name', not multiple slashes"],
    [["--inference-pool=/b"], "--inference-pool cannot have empty namespace or name"],
    [
      ["--enable-ssrf-protection"],
      "--inference-pool flag or INFERENCE_POOL environment variable is required when --enable-ssrf-protection is true",
    ],
    [
      ["--p2p-connector-port=65533", "--data-parallel-size=4"],
      "--p2p-connector-port 65533 plus data-parallel rank 3 exceeds 65535",
    ],
    [["--enable-p2p-pull", "--kv-connector=sglang"], '--enable-p2p-pull requires --kv-connector=nixlv2 (got "sglang")'],
    [["--prefill-max-retries=1", "--prefill-retry-backoff=0"], "--prefill-retry-backoff must be greater than 0"],
    [["--prefill-retry-backoff=fast"], '--prefill-retry-backoff must be a duration such as 200ms or 2s, got "fast"'],
    [["--connector=nixlv2"], "flag --connector was removed: use --kv-connector"],
    [["--prefiller-use-tls"], "flag --prefiller-use-tls was removed: use --enable-tls"],
    [["--configuration={connector: nixlv2}"], '"connector" was removed: use --kv-connector'],
    [
      ["--configuration={port: 1,\n  prot: 1}"],
      'failed to unmarshal sidecar configuration: --configuration:2:3: unknown field "prot"; did you mean "port"?',
    ],
    [["--configuration=\nport: '8000'"], '--configuration:2:1: "port" must be a whole number'],
    [["--configuration={port: '8000'}"], '"port" must be a whole number'],
    [["--configuration={"], "failed to unmarshal sidecar configuration: --configuration:1:2: "],
    [["--configuration-file=/nowhere"], "--configuration-file: cannot read /nowhere"],
    [["--mooncake-bootstrap-port=0"], "--mooncake-bootstrap-port must be a whole number from 1 to 65535"],
    [["--decode-chunk-size=-1"], "--decode-chunk-size must be a whole number from 0 on"],
    [["--prefill-failure-policy=hope"], "--prefill-failure-policy must be one of: return, decode-only"],
    [["--moriio-parallel-dispatch"], "--moriio-parallel-dispatch requires --moriio-write-mode"],
    [["--moriio-write-mode"], "--moriio-local-pod-ip or the environment variable POD_IP is required"],
    [["--moriio-remote-hosts=a,b"], "--moriio-remote-hosts names 2 hosts"],
    [["--nonsense"], "unknown flag --nonsense. See --help."],
    [["stray"], 'unexpected argument "stray". See --help.'],
    [["--cert-path"], "flag --cert-path needs a value"],
  ])("%j", (args, expected) => {
    expect(problems(args)).toEqual([expect.stringContaining(expected)]);
  });

  test("a bad port in the environment names its variable", () => {
    expect(problems([], { SGLANG_BOOTSTRAP_PORT: "x", MOONCAKE_BOOTSTRAP_PORT: "y" })).toEqual([
      '--mooncake-bootstrap-port (environment variable MOONCAKE_BOOTSTRAP_PORT) must be a whole number from 1 to 65535, got "y"',
      'environment variable SGLANG_BOOTSTRAP_PORT must be a port from 1 to 65535, got "x"',
    ]);
  });

  test("all problems are told at once", () => {
    expect(problems(["--port=x", "--kv-connector=y", "--nonsense"])).toHaveLength(3);
  });

  test("no command line or configuration makes it throw", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.string(), (args, text) => {
        resolveOptions(args, {});
        resolveOptions([`--configuration=${text}`], {});
      }),
    );
  });
});
