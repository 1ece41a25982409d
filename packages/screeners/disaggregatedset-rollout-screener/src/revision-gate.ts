import type { Endpoint, Gauge, MetadataObject, MetricFamily, PluginHost } from "@pointsman/core";
import type { GatingMode } from "./params.ts";
import { labelOf } from "./ready-pods.ts";
import { drawRevision, type RoleCounts, revisionShares } from "./revision-shares.ts";

const maxDumpedRevisions = 50;
const maxDumpedRoles = 8;

export interface RevisionGateOptions {
  readonly mode: Exclude<GatingMode, "disabled">;
  readonly revisionLabelKey: string;
  readonly requiredRoles: readonly string[];
}

/** Lets requests to revisions that have all roles, in proportion to their Ready Pods. Closed until the first count. */
export class RevisionGate {
  readonly #host: PluginHost;
  readonly #options: RevisionGateOptions;
  readonly #gauges: MetricFamily<Gauge>;
  #shares: ReadonlyMap<string, number> = new Map();

  constructor(host: PluginHost, options: RevisionGateOptions) {
    this.#host = host;
    this.#options = options;
    this.#gauges = host.metrics.gauge({
      name: "llm_d_epp_disaggregatedset_revision_gating_share",
      help: "Share of requests that a revision gets, 0 to 1; 0 while one of its roles has no Ready Pod.",
      labelNames: ["plugin_type", "plugin_name", "mode", "revision"],
    });
  }

  /** Takes in new counts. */
  recount(counts: ReadonlyMap<string, RoleCounts>): void {
    const before = this.#shares;
    this.#shares = revisionShares(counts, this.#options.requiredRoles, this.#options.mode);
    for (const revision of before.keys()) {
      if (!this.#shares.has(revision)) this.#gauges.remove(...this.#labels(revision));
    }
    for (const [revision, share] of this.#shares) this.#gauges.labels(...this.#labels(revision)).set(share);
  }

  /** The endpoints whose revision gets a share. */
  keepCovered(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    return endpoints.filter((endpoint) => (this.#shares.get(this.#revisionOf(endpoint)) ?? 0) > 0);
  }

  /** The endpoints of one revision: the only one, or one drawn by the shares. All of `endpoints` have a share. */
  drawOne(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    const shares = new Map<string, number>();
    for (const endpoint of endpoints) {
      const revision = this.#revisionOf(endpoint);
      shares.set(revision, this.#shares.get(revision) ?? 0);
    }
    if (shares.size <= 1) return endpoints;
    const drawn = drawRevision(shares, this.#host.random());
    return endpoints.filter((endpoint) => this.#revisionOf(endpoint) === drawn);
  }

  dump(counts: ReadonlyMap<string, RoleCounts>): MetadataObject {
    const revisions = [...counts].slice(0, maxDumpedRevisions).map(([revision, byRole]) => ({
      revision,
      readyPods: Object.fromEntries([...byRole].slice(0, maxDumpedRoles)),
      share: this.#shares.get(revision) ?? 0,
    }));
    return { revisions, totalRevisions: counts.size, maxRevisions: maxDumpedRevisions };
  }

  dispose(): void {
    for (const revision of this.#shares.keys()) this.#gauges.remove(...this.#labels(revision));
    this.#shares = new Map();
  }

  #revisionOf({ metadata }: Endpoint): string {
    return labelOf(metadata.labels, this.#options.revisionLabelKey);
  }

  #labels(revision: string): readonly [string, string, string, string] {
    return [this.#host.type, this.#host.name, this.#options.mode, revision];
  }
}
