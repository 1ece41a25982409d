import type { EndpointMetadata } from "@pointsman/core";
import { buildEndpoint, buildPlugin } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { RecordedGauges } from "../test/recorded-gauges.ts";
import inflightLoadProducer from "./index.ts";
import { LoadMetrics, type LoadSeries } from "./load-metrics.ts";

function build() {
  const gauges = new RecordedGauges();
  const { host } = buildPlugin(inflightLoadProducer, { metrics: gauges, name: "near" });
  return { gauges, metrics: new LoadMetrics(host) };
}

const metadataOf = (slot: number): EndpointMetadata => buildEndpoint(slot).metadata;

test("requests and tokens are told by endpoint, fairness id and priority", () => {
  const { gauges, metrics } = build();
  const owner = new Map<string, LoadSeries>();
  metrics.add(metrics.seriesOf(owner, metadataOf(0), "team-a", 0), 1, 100);
  metrics.add(metrics.seriesOf(owner, metadataOf(0), "team-a", 0), 1, 20);
  metrics.add(metrics.seriesOf(owner, metadataOf(0), "team-b", -5), 1, 7);
  const labels = "endpoint_name=server-0,namespace=default,producer_name=near,fairness_id";
  expect(gauges.series).toEqual({
    [`llm_d_epp_inflight_requests{${labels}=team-a,priority=0}`]: 2,
    [`llm_d_epp_inflight_tokens{${labels}=team-a,priority=0}`]: 120,
    [`llm_d_epp_inflight_requests{${labels}=team-b,priority=-5}`]: 1,
    [`llm_d_epp_inflight_tokens{${labels}=team-b,priority=-5}`]: 7,
  });
});

test("each rank of a pod has its own series", () => {
  const { gauges, metrics } = build();
  for (const rank of [0, 1]) {
    const metadata = { ...metadataOf(0), name: "pod-a", id: `default/pod-a-rank-${rank}`, rankIndex: rank };
    metrics.add(metrics.seriesOf(new Map(), metadata, "team-a", 0), 1, 10 + rank);
  }
  expect(gauges.series).toMatchObject({
    "llm_d_epp_inflight_tokens{endpoint_name=pod-a-rank-0,namespace=default,producer_name=near,fairness_id=team-a,priority=0}": 10,
    "llm_d_epp_inflight_tokens{endpoint_name=pod-a-rank-1,namespace=default,producer_name=near,fairness_id=team-a,priority=0}": 11,
  });
});

test("a series that falls to 0 stays; those of an endpoint that goes are removed and stay so", () => {
  const { gauges, metrics } = build();
  const owner = new Map<string, LoadSeries>();
  const idle = metrics.seriesOf(owner, metadataOf(0), "a", 0);
  const busy = metrics.seriesOf(owner, metadataOf(0), "b", 0);
  metrics.add(idle, 1, 5);
  metrics.add(busy, 1, 5);
  metrics.add(idle, -1, -5);
  expect(Object.values(gauges.series)).toEqual([0, 0, 1, 5]);
  metrics.removeAll(owner);
  metrics.add(busy, -1, -5);
  expect([gauges.count, owner.size]).toEqual([0, 0]);
});

test("after a thousand fairness ids the rest count as other", () => {
  const { metrics } = build();
  const owner = new Map<string, LoadSeries>();
  const idOf = (fairnessId: string): string | undefined =>
    metrics.seriesOf(owner, metadataOf(0), fairnessId, 0).labels[3];
  for (let i = 0; i < 1000; i++) expect(idOf(`tenant-${i}`)).toBe(`tenant-${i}`);
  expect([idOf("one-more"), idOf("tenant-7"), idOf("two-more")]).toEqual(["other", "tenant-7", "other"]);
  expect(idOf("x".repeat(400))).toBe("other");
  expect(owner.size).toBe(1001);
});

test("beyond ten thousand series, those that lie at 0 longest are removed and busy ones stay", () => {
  const { gauges, metrics } = build();
  const owners = Array.from({ length: 20 }, () => new Map<string, LoadSeries>());
  owners.forEach((owner, slot) => {
    for (let i = 0; i < 600; i++) {
      const series = metrics.seriesOf(owner, metadataOf(slot), `tenant-${i}`, 0);
      metrics.add(series, 1, 1);
      if (i > 0) metrics.add(series, -1, -1);
    }
  });
  expect(gauges.count).toBe(2 * 10_000);
  // 12,000 were made: all but the busy one of the first three endpoints are gone, and 203 of the fourth.
  expect(owners.map((owner) => owner.size).slice(0, 5)).toEqual([1, 1, 1, 600 - (2000 - 3 * 599), 600]);
  expect([...owners[0]!.values()].map(({ requests }) => requests)).toEqual([1]);
});
