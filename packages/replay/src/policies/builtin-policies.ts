import { forecast } from "../engine/forecast.ts";
import type { SimulatedEngine } from "../engine/simulated-engine.ts";
import { SeededRandom } from "../seeded-random.ts";
import { unsharedKey, type WorkloadRequest } from "../workload/workload.ts";
import type { Choice, RoutingPolicy } from "./routing-policy.ts";

/** Policies to compare a picker with. The oracles see what no picker can: true state, caches, lengths of answers. */
export const builtinPolicyNames = [
  "random",
  "round-robin",
  "least-in-flight",
  "prefix-hash",
  "oracle",
  "oracle-e2e",
] as const;

export type BuiltinPolicyName = (typeof builtinPolicyNames)[number];

/** Makes a policy over servers. */
export function builtinPolicy(
  name: BuiltinPolicyName,
  engines: readonly SimulatedEngine[],
  seed: number,
): RoutingPolicy {
  const decide = decisions[name](engines, seed);
  return { name, route: (request, chosen) => chosen(decide(request)) };
}

type Decide = (request: WorkloadRequest) => Choice;

const decisions: { readonly [N in BuiltinPolicyName]: (engines: readonly SimulatedEngine[], seed: number) => Decide } =
  {
    random: (engines, seed) => {
      const random = new SeededRandom(seed, 5);
      return () => ({ server: random.between(0, engines.length - 1) });
    },
    "round-robin": (engines) => {
      let next = -1;
      return () => {
        next = (next + 1) % engines.length;
        return { server: next };
      };
    },
    "least-in-flight": leastInFlight,
    "prefix-hash": prefixHash,
    oracle: (engines) => smallest(engines, (seen) => seen.ttftMs),
    "oracle-e2e": (engines) => smallest(engines, (seen) => seen.ttftMs + seen.decodeMs + seen.harmMs),
  };

/** Fewest requests sent and not finished; among equals the server used longest ago. */
function leastInFlight(engines: readonly SimulatedEngine[]): Decide {
  const usedAt = engines.map(() => 0);
  let turn = 0;
  return () => {
    let best = 0;
    for (let i = 1; i < engines.length; i++) {
      const fewer = engines[i]!.present - engines[best]!.present;
      if (fewer < 0 || (fewer === 0 && usedAt[i]! < usedAt[best]!)) best = i;
    }
    usedAt[best] = ++turn;
    return { server: best };
  };
}

const hashedTokens = 1024;
const loadFactor = 1.25;
const pointsPerServer = 128;

/** Consistent hashing of the prompt's first tokens; servers with more than their share of the requests are passed over. */
function prefixHash(engines: readonly SimulatedEngine[]): Decide {
  const points = engines
    .flatMap((engine) =>
      Array.from({ length: pointsPerServer }, (_, i) => ({
        at: new SeededRandom(engine.index * pointsPerServer + i, 6).uniform(),
        engine,
      })),
    )
    .sort((a, b) => a.at - b.at);
  return (request) => {
    const total = engines.reduce((sum, engine) => sum + engine.present, 1);
    const bound = Math.ceil((loadFactor * total) / engines.length);
    const blocks = Math.floor(Math.min(hashedTokens, request.promptTokens) / engines[0]!.model.blockTokens);
    const key = blocks === 0 ? unsharedKey : request.keys[blocks - 1]!;
    // What no other request begins with goes anywhere.
    const at = (key === unsharedKey ? new SeededRandom(request.index, 10) : new SeededRandom(key, 7)).uniform();
    const start = points.findIndex((point) => point.at >= at);
    for (let i = 0; i < points.length; i++) {
      const { engine } = points[(Math.max(0, start) + i) % points.length]!;
      if (engine.present < bound) return { server: engine.index };
    }
    return { server: points[Math.max(0, start)]!.engine.index };
  };
}

/** The server whose forecast costs least; among equals the one with fewer requests. */
function smallest(engines: readonly SimulatedEngine[], costMs: (seen: ReturnType<typeof forecast>) => number): Decide {
  return (request) => {
    let server = 0;
    let lowestMs = Number.POSITIVE_INFINITY;
    let expectedTokens = request.promptTokens;
    for (const engine of engines) {
      const seen = forecast(engine, request);
      const ms = costMs(seen);
      if (ms > lowestMs || (ms === lowestMs && engine.present >= engines[server]!.present)) continue;
      lowestMs = ms;
      server = engine.index;
      expectedTokens = seen.computeTokens;
    }
    return { server, expectedTokens };
  };
}
