import type { IncomingMessage } from "node:http";
import {
  createTimers,
  hasRole,
  type KubernetesListener,
  type Logger,
  type NamedPlugin,
  systemClock,
} from "@pointsman/core";
import type { Datastore, ObjectiveStore, RewriteStore } from "@pointsman/datastore";
import { ApiClient, findAccess, KubernetesPool, LeaderElection, leaseName, MetricsAuth } from "@pointsman/kube";
import type { PrometheusMetrics } from "@pointsman/telemetry";
import type { AdminRefusal } from "../admin/admin-server.ts";
import type { KubernetesOptions } from "../flags/kubernetes-options.ts";

export interface KubernetesParts {
  readonly kubernetes: KubernetesOptions;
  readonly poolName: string;
  readonly poolNamespace: string;
  /** Ask the API server who may use the metrics port. */
  readonly metricsAuth: boolean;
  readonly leaderElection: boolean;
  /** Standbys follow the pool too, and can serve what is sent to them by mistake. */
  readonly populateStandbys: boolean;
  readonly datastore: Datastore;
  readonly objectives: ObjectiveStore;
  readonly rewrites: RewriteStore;
  readonly plugins: readonly NamedPlugin[];
  readonly logger: Logger;
  readonly metrics: PrometheusMetrics;
}

/** What a process has of Kubernetes. */
export interface Kubernetes {
  /** Starts to follow the pool and to stand for election. `lost`: this replica led and must end. */
  start(lost: () => void): void;
  /**
   * Starts to tell plugins of a configuration that is to take over of the objects they ask for. Resolves once they know
   * what exists, or after 5 s without that: they hear of the rest as it comes.
   */
  addListeners(plugins: readonly NamedPlugin[]): Promise<void>;
  /** Tells only the plugins of a configuration on. */
  keepListeners(plugins: readonly NamedPlugin[]): void;
  /** Why requests cannot be served yet, `undefined` when they can. */
  notSynced(): string | undefined;
  appProtocol(): string | undefined;
  /** Whether this replica leads; absent without election. */
  leading?(): boolean;
  /** Decides on requests to the metrics port; absent when everybody may. */
  authorize?(request: IncomingMessage): Promise<AdminRefusal | undefined>;
  /** Gives leadership back; the pool is followed on. */
  release(): Promise<void>;
  stop(): Promise<void>;
}

/** Longest wait of a configuration for the objects that its plugins ask for. */
const listenersWaitMs = 5000;

function listenersOf(plugins: readonly NamedPlugin[]): readonly NamedPlugin<KubernetesListener>[] {
  return plugins.flatMap(({ name, type, instance }) =>
    hasRole(instance, "kubernetesListener") ? [{ name, type, instance }] : [],
  );
}

/** Connects a process with Kubernetes. Rejects when there are no credentials; an API server that is away is waited for. */
export async function connectKubernetes(parts: KubernetesParts): Promise<Kubernetes> {
  const { datastore, metrics, plugins, poolName, poolNamespace, objectives, rewrites } = parts;
  const logger = parts.logger.child({ component: "kubernetes" });
  const clock = systemClock;
  const access = await findAccess(process.env, clock);
  const client = new ApiClient(access);
  const timers = createTimers("kubernetes", logger);
  const common = { client, clock, timers, random: Math.random, logger };
  logger.info({ server: client.server, credentials: client.origin, namespace: poolNamespace }, "using Kubernetes");

  let appProtocol: string | undefined;
  const pool = new KubernetesPool({
    ...common,
    metrics,
    namespace: poolNamespace,
    origin: parts.kubernetes,
    endpoints: datastore,
    onPool: (spec) => {
      appProtocol = spec?.appProtocol;
      datastore.pool = { name: poolName, namespace: poolNamespace, appProtocol };
      datastore.synced = spec !== undefined;
    },
    objectives,
    rewrites,
    listeners: listenersOf(plugins),
  });

  const leader = metrics
    .gauge({
      name: "llm_d_epp_leader",
      help: "1 while this replica leads; without election every replica does.",
    })
    .labels();
  leader.set(parts.leaderElection ? 0 : 1);
  let onLost = (): void => {};
  const election = parts.leaderElection
    ? new LeaderElection({
        ...common,
        namespace: poolNamespace,
        lease: leaseName(poolNamespace, poolName),
        onElected: () => {
          leader.set(1);
          pool.start();
        },
        onLost: () => {
          leader.set(0);
          onLost();
        },
      })
    : undefined;
  const auth = parts.metricsAuth ? new MetricsAuth({ client, clock, logger, metrics }) : undefined;
  metrics.beforePage(() => pool.updateMetrics());

  return {
    start(lost) {
      onLost = lost;
      if (election === undefined || parts.populateStandbys) pool.start();
      election?.start();
    },
    async addListeners(added) {
      let timer: { stop(): void } | undefined;
      const tooLate = new Promise<void>((resolve) => {
        timer = timers.after(listenersWaitMs, () => {
          logger.warn({}, "objects that plugins ask for are not known yet; the configuration takes over without them");
          resolve();
        });
      });
      try {
        await Promise.race([pool.addListeners(listenersOf(added)), tooLate]);
      } finally {
        timer?.stop();
      }
    },
    keepListeners: (kept) => pool.keepListeners(listenersOf(kept)),
    notSynced: () => pool.notSynced(),
    appProtocol: () => appProtocol,
    ...(election === undefined ? {} : { leading: () => election.leading }),
    ...(auth === undefined
      ? {}
      : {
          authorize: ({ method = "", url = "/", headers }) =>
            auth.check({ method, url, authorization: headers.authorization }),
        }),
    async release() {
      await election?.release();
      leader.set(parts.leaderElection ? 0 : 1);
    },
    async stop() {
      await election?.release();
      pool.stop();
      timers.stopAll();
    },
  };
}
