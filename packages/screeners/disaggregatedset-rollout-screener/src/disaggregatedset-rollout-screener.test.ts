import {
  type Endpoint,
  Headers,
  type KubernetesEvent,
  type KubernetesObject,
  type MetricsRegistry,
  type PluginInstance,
  type SchedulingResult,
} from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  pluginContract,
  type RequestOptions,
  screenerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import rolloutScreener from "./index.ts";

const REVISION = "disaggregatedset.x-k8s.io/revision";
const ROLE = "disaggregatedset.x-k8s.io/role";
const SLICE = "disaggregatedset.x-k8s.io/slice";

const params = {
  scope: { labelSelector: "disaggregatedset.x-k8s.io/name=set" },
  headerSelectors: [
    { name: "revision", headerName: "X-Disagg-Revision", labelKey: REVISION, mode: "strict" },
    { name: "slice", headerName: "x-disagg-slice", labelKey: SLICE, mode: "prefer" },
  ],
  revisionGating: { mode: "sum", requireRoles: { values: ["prefill", "decode"] } },
};
const disabled = { ...params, revisionGating: { mode: "disabled" } };

interface PodOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly status?: unknown;
  readonly deletionTimestamp?: string;
}

const ready = {
  conditions: [
    { type: "Initialized", status: "True" },
    { type: "Ready", status: "True" },
  ],
};

function pod(name: string, revision: string, role: string, options: PodOptions = {}): KubernetesObject {
  return {
    metadata: {
      namespace: "inference",
      name,
      labels: { "disaggregatedset.x-k8s.io/name": "set", [REVISION]: revision, [ROLE]: role, ...options.labels },
      ...(options.deletionTimestamp === undefined ? {} : { deletionTimestamp: options.deletionTimestamp }),
    },
    status: options.status ?? ready,
  };
}

const added = (object: KubernetesObject): KubernetesEvent => ({ type: "addOrUpdate", object });
const gone = (name: string): KubernetesEvent => ({ type: "delete", namespace: "inference", name });
const synced: KubernetesEvent = { type: "synced" };

function tell(instance: PluginInstance, ...events: readonly KubernetesEvent[]): void {
  for (const event of events) instance.resourceChanged!(event);
}

/** Two complete revisions: weights 3 and 2 by sum. */
const pods = [
  pod("a-p-0", "a", "prefill"),
  pod("a-d-0", "a", "decode"),
  pod("a-d-1", "a", "decode"),
  pod("b-p-0", "b", "prefill"),
  pod("b-d-0", "b", "decode"),
];

const endpoint = (slot: number, revision: string | undefined, slice = "1") =>
  buildEndpoint(slot, { labels: { ...(revision === undefined ? {} : { [REVISION]: revision }), [SLICE]: slice } });
const endpoints = [endpoint(0, "a"), endpoint(1, "a", "2"), endpoint(2, "b"), endpoint(3, "b", "2")];

function screener(
  given: unknown = params,
  options: { readonly seed?: number; readonly metrics?: MetricsRegistry } = {},
) {
  const { instance } = buildPlugin(rolloutScreener, { params: given, ...options });
  return instance;
}

function screened(instance: PluginInstance, request: RequestOptions = {}, from: readonly Endpoint[] = endpoints) {
  return instance.screen!(buildRequest(request), from).map(({ slot }) => slot);
}

pluginContract(rolloutScreener, {
  testFile: import.meta.url,
  params,
  exercise: ({ instance }) => {
    for (let i = 0; i < 2000; i++) {
      tell(instance, added(pod(`p-${i}`, `${"r".repeat(50)}-${i}`, `${"x".repeat(50)}-${i % 30}`)));
    }
    tell(instance, synced);
  },
});
screenerContract(rolloutScreener, {
  params,
  prepare: (instance) => tell(instance, ...pods.map(added), synced),
  labels: fc.constantFrom("a", "b", "c").map((revision) => ({ [REVISION]: revision })),
  request: () =>
    fc.constantFrom<RequestOptions>(
      {},
      { headers: { "x-disagg-revision": "a" } },
      { headers: { "x-disagg-revision": "c" } },
    ),
});
screenerContract(rolloutScreener, {
  params: disabled,
  labels: fc.constantFrom("a", "b").map((revision) => ({ [REVISION]: revision })),
});

describe("what it follows", () => {
  test("Pods of its scope, in the core group", () => {
    expect(screener().watchedResource!()).toEqual({
      group: "",
      version: "v1",
      kind: "Pod",
      plural: "pods",
      labelSelector: "disaggregatedset.x-k8s.io/name=set",
    });
  });

  test("nothing when gating is disabled", () => {
    const instance = screener(disabled);
    expect([instance.watchedResource, instance.resourceChanged]).toEqual([undefined, undefined]);
    expect(instance.notReady?.()).toBeUndefined();
  });

  test("until all Pods are told nothing passes, and the reason is in readiness", () => {
    const instance = screener();
    expect(instance.notReady!()).toBe(
      'Kubernetes has not told of the Pods "disaggregatedset.x-k8s.io/name=set" yet; ' +
        "without a source of Kubernetes objects no revision is let through",
    );
    expect(screened(instance)).toEqual([]);
    tell(instance, ...pods.map(added));
    expect(screened(instance)).toEqual([]);
    expect(screened(instance, { headers: { "x-disagg-revision": "a" } })).toEqual([]);
    tell(instance, synced);
    expect(instance.notReady!()).toBeUndefined();
    expect(screened(instance).length).toBe(2);
  });

  test("no Pods at all: ready, and closed", () => {
    const instance = screener();
    tell(instance, synced);
    expect(instance.notReady!()).toBeUndefined();
    expect(screened(instance)).toEqual([]);
  });
});

describe("which Pods count", () => {
  const only = (...objects: readonly KubernetesObject[]): PluginInstance => {
    const instance = screener();
    tell(instance, ...objects.map(added), synced);
    return instance;
  };
  const decode = pod("d", "a", "decode");

  test("a revision with a Ready Pod in each required role passes", () => {
    expect(screened(only(decode, pod("p", "a", "prefill")))).toEqual([0, 1]);
  });

  test.each([
    { name: "none in that role", prefill: undefined },
    { name: "one of another revision", prefill: pod("p", "b", "prefill") },
    {
      name: "not ready",
      prefill: pod("p", "a", "prefill", { status: { conditions: [{ type: "Ready", status: "False" }] } }),
    },
    { name: "without status", prefill: pod("p", "a", "prefill", { status: {} }) },
    { name: "with a status that is no status", prefill: pod("p", "a", "prefill", { status: "Ready" }) },
    { name: "with conditions that are none", prefill: pod("p", "a", "prefill", { status: { conditions: [null, 7] } }) },
    { name: "being deleted", prefill: pod("p", "a", "prefill", { deletionTimestamp: "2026-01-01T00:00:00Z" }) },
    {
      name: "outside of the scope",
      prefill: pod("p", "a", "prefill", { labels: { "disaggregatedset.x-k8s.io/name": "other" } }),
    },
    { name: "without a role", prefill: pod("p", "a", "") },
    { name: "without a revision", prefill: pod("p", "", "prefill") },
    { name: "without labels", prefill: { metadata: { name: "p", namespace: "inference" }, status: ready } },
  ])("prefill Pod $name: the revision does not pass", ({ prefill }) => {
    expect(screened(only(decode, ...(prefill === undefined ? [] : [prefill])))).toEqual([]);
  });

  test("changes count at once: not ready, ready again, other revision, gone", () => {
    const instance = only(decode, pod("p", "a", "prefill"));
    tell(instance, added(pod("p", "a", "prefill", { status: {} })));
    expect(screened(instance)).toEqual([]);
    tell(instance, added(pod("p", "a", "prefill")));
    expect(screened(instance)).toEqual([0, 1]);
    tell(instance, added(pod("p", "b", "prefill")));
    expect(screened(instance)).toEqual([]);
    tell(instance, added(pod("d", "b", "decode")));
    expect(screened(instance)).toEqual([2, 3]);
    tell(instance, gone("p"));
    expect(screened(instance)).toEqual([]);
  });

  test("a Pod told twice counts once; an unknown one that goes changes nothing", () => {
    const instance = only(decode, pod("p", "a", "prefill"), pod("p", "a", "prefill"));
    tell(instance, gone("never seen"));
    expect(screened(instance)).toEqual([0, 1]);
    tell(instance, gone("p"));
    expect(screened(instance)).toEqual([]);
  });

  test("Pods of one name in two namespaces are two", () => {
    const instance = only(decode, pod("p", "a", "prefill"));
    tell(instance, { type: "delete", namespace: "other", name: "p" });
    expect(screened(instance)).toEqual([0, 1]);
  });
});

describe("choosing a revision", () => {
  const gating = (mode: string) => {
    const instance = screener({ ...params, revisionGating: { ...params.revisionGating, mode } });
    tell(
      instance,
      ...pods.map(added),
      // 2 prefill, 9 decode against 1 and 1, as in a rollout of an unequal set.
      added(pod("a-p-1", "a", "prefill")),
      ...Array.from({ length: 7 }, (_, i) => added(pod(`a-d-${i + 2}`, "a", "decode"))),
      synced,
    );
    return instance;
  };
  const shareOfB = (instance: PluginInstance): number => {
    const tries = 5000;
    let b = 0;
    for (let i = 0; i < tries; i++) if (screened(instance)[0] === 2) b++;
    return b / tries;
  };

  test("one revision per request, in proportion to the shares", () => {
    expect(Math.abs(shareOfB(gating("sum")) - 2 / 13)).toBeLessThan(0.02);
    expect(Math.abs(shareOfB(gating("max-role")) - 1 / 10)).toBeLessThan(0.02);
  });

  test("the endpoints of one request all have one revision", () => {
    const instance = gating("sum");
    for (let i = 0; i < 50; i++)
      expect([
        [0, 1],
        [2, 3],
      ]).toContainEqual(screened(instance));
  });

  test("a revision without candidates is not drawn", () => {
    const instance = gating("sum");
    for (let i = 0; i < 50; i++) expect(screened(instance, {}, [endpoints[2]!])).toEqual([2]);
  });

  test("endpoints without a revision, or of one without Pods, do not pass", () => {
    const instance = gating("sum");
    expect(screened(instance, {}, [endpoint(7, undefined), endpoint(8, "c"), endpoint(9, "")])).toEqual([]);
  });
});

describe("headers", () => {
  const open = (given: unknown = params, metrics?: MetricsRegistry): PluginInstance => {
    const instance = screener(given, metrics === undefined ? {} : { metrics });
    tell(instance, ...pods.map(added), synced);
    return instance;
  };

  test("a strict header keeps its revision, every time", () => {
    const instance = open();
    for (let i = 0; i < 20; i++) expect(screened(instance, { headers: { "x-disagg-revision": "b" } })).toEqual([2, 3]);
  });

  test("a strict header does not open a revision that lacks a role", () => {
    const instance = open();
    tell(instance, gone("b-p-0"));
    expect(screened(instance, { headers: { "x-disagg-revision": "b" } })).toEqual([]);
  });

  test("an empty header is none", () => {
    expect(screened(open(), { headers: { "x-disagg-revision": "" } })).toHaveLength(2);
  });

  test("a prefer header keeps all", () => {
    const instance = open();
    const slots = screened(instance, { headers: { "x-disagg-slice": "2", "x-disagg-revision": "a" } });
    expect(slots).toEqual([0, 1]);
  });

  test("a strict header about another label leaves one revision all the same", () => {
    const headerSelectors = [{ name: "slice", headerName: "x-disagg-slice", labelKey: SLICE, mode: "strict" }];
    const instance = open({ ...params, headerSelectors });
    const seen = new Set<string>();
    for (let i = 0; i < 50; i++) seen.add(screened(instance, { headers: { "x-disagg-slice": "2" } }).join());
    expect([...seen].toSorted()).toEqual(["1", "3"]);
  });

  test("a strict header without a match is counted by its selector, in every mode", () => {
    const counted: string[] = [];
    const metrics = recording(counted);
    expect(screened(open(params, metrics), { headers: { "x-disagg-revision": "z" } })).toEqual([]);
    const instance = screener(disabled, { metrics });
    expect(screened(instance, { headers: { "x-disagg-revision": "z" } })).toEqual([]);
    expect(screened(instance, { headers: { "x-disagg-revision": "a" } })).toEqual([0, 1]);
    const line = `llm_d_epp_disaggregatedset_strict_header_no_match_total ${rolloutScreener.type} ${rolloutScreener.type} revision`;
    expect(counted.filter((each) => each.includes("no_match"))).toEqual([`inc ${line}`, `inc ${line}`]);
  });

  test("with gating disabled, no header keeps all", () => {
    expect(screened(screener(disabled))).toEqual([0, 1, 2, 3]);
  });
});

describe("the answer", () => {
  const result: SchedulingResult = {
    primaryProfile: "decode",
    profiles: new Map([
      ["decode", { targets: [endpoints[1]!, endpoints[2]!], candidates: [], totals: new Float64Array(0) }],
      ["prefill", { targets: [endpoints[3]!], candidates: [], totals: new Float64Array(0) }],
    ]),
  };
  const stamped = (servedBy: string | undefined, from: SchedulingResult = result, given: unknown = params) => {
    const setHeaders = new Map<string, string>();
    screener(given).responseHeaders!(buildRequest(), from, {
      headers: new Headers(),
      status: 200,
      servedBy,
      proxyMetadata: {},
      setHeaders,
    });
    return Object.fromEntries(setHeaders);
  };

  test("tells the labels of the endpoint that serves, in lower-case headers of every mode", () => {
    expect(stamped(undefined)).toEqual({ "x-disagg-revision": "a", "x-disagg-slice": "2" });
    expect(stamped(endpoints[2]!.hostPort)).toEqual({ "x-disagg-revision": "b", "x-disagg-slice": "1" });
    expect(stamped("10.9.9.9:1")).toEqual({ "x-disagg-revision": "a", "x-disagg-slice": "2" });
    expect(stamped(undefined, result, disabled)).toEqual({ "x-disagg-revision": "a", "x-disagg-slice": "2" });
  });

  test("leaves out labels that the endpoint does not have", () => {
    const bare = { targets: [buildEndpoint(9)], candidates: [], totals: new Float64Array(0) };
    expect(stamped(undefined, { primaryProfile: "decode", profiles: new Map([["decode", bare]]) })).toEqual({});
  });
});

describe("the share gauge", () => {
  test("follows the revisions; those that vanish leave no series behind", () => {
    const lines: string[] = [];
    const instance = screener(params, { metrics: recording(lines) });
    const take = (): readonly string[] => lines.splice(0).map((line) => line.replaceAll(/ [\w-]+screener/g, ""));
    const name = "llm_d_epp_disaggregatedset_revision_gating_share sum";
    tell(instance, ...pods.map(added));
    expect(take()).toEqual([]);
    tell(instance, synced);
    expect(take()).toEqual([`set ${name} a 0.6`, `set ${name} b 0.4`]);
    tell(instance, gone("b-p-0"));
    expect(take()).toEqual([`set ${name} a 1`, `set ${name} b 0`]);
    tell(instance, gone("b-d-0"));
    expect(take()).toEqual([`remove ${name} b`, `set ${name} a 1`]);
    void instance.dispose!();
    expect(take()).toEqual([`remove ${name} a`]);
  });
});

test("state shows counts and shares", () => {
  const instance = screener();
  tell(instance, ...pods.map(added), synced);
  expect(instance.dumpState!()).toEqual({
    synced: true,
    revisions: [
      { revision: "a", readyPods: { prefill: 1, decode: 2 }, share: 0.6 },
      { revision: "b", readyPods: { prefill: 1, decode: 1 }, share: 0.4 },
    ],
    totalRevisions: 2,
    maxRevisions: 50,
  });
});

test("property: counts after any course of events are those of the Pods that are left", () => {
  const step = fc.record({
    name: fc.constantFrom("p0", "p1", "p2", "p3"),
    revision: fc.constantFrom("a", "b"),
    role: fc.constantFrom("prefill", "decode"),
    isReady: fc.boolean(),
    deleted: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const instance = screener();
      tell(instance, synced);
      const left = new Map<string, { readonly revision: string; readonly role: string }>();
      for (const { name, revision, role, isReady, deleted } of steps) {
        if (deleted) tell(instance, gone(name));
        else tell(instance, added(pod(name, revision, role, isReady ? {} : { status: {} })));
        if (deleted || !isReady) left.delete(name);
        else left.set(name, { revision, role });
      }
      const has = (revision: string, role: string): boolean =>
        [...left.values()].some((one) => one.revision === revision && one.role === role);
      const open = ["a", "b"].filter((revision) => has(revision, "prefill") && has(revision, "decode"));
      const kept = new Set(screened(instance).map((slot) => (slot < 2 ? "a" : "b")));
      expect(kept.size).toBe(Math.min(1, open.length));
      for (const revision of kept) expect(open).toContain(revision);
    }),
  );
});

describe("parameters", () => {
  const gate = params.revisionGating;
  test("label keys can be chosen; empty ones are the usual ones", () => {
    const labels = { rev: "a", part: "prefill" };
    const custom = screener({
      ...params,
      headerSelectors: [],
      revisionGating: { ...gate, revisionLabelKey: "rev", roleLabelKey: "part", requireRoles: { values: ["prefill"] } },
    });
    tell(custom, added(pod("p", "", "", { labels })), synced);
    expect(screened(custom, {}, [buildEndpoint(5, { labels })])).toEqual([5]);
    const usual = screener({ ...params, revisionGating: { ...gate, revisionLabelKey: "", roleLabelKey: "" } });
    tell(usual, ...pods.map(added), synced);
    expect(screened(usual)).toHaveLength(2);
  });

  test("header selectors may be left out", () => {
    const { headerSelectors: _, ...rest } = params;
    const instance = screener(rest);
    tell(instance, ...pods.map(added), synced);
    expect(screened(instance)).toHaveLength(2);
  });
});

function recording(lines: string[]): MetricsRegistry {
  const family = (name: string) => ({
    labels: (...values: readonly string[]) => ({
      inc: () => lines.push(["inc", name, ...values].join(" ")),
      dec: () => {},
      set: (value: number) => lines.push(["set", name, ...values, value].join(" ")),
      observe: () => {},
    }),
    remove: (...values: readonly string[]) => lines.push(["remove", name, ...values].join(" ")),
  });
  return {
    counter: ({ name }) => family(name),
    gauge: ({ name }) => family(name),
    histogram: ({ name }) => family(name),
  };
}
