import type { EndpointMetadata } from "@pointsman/core";

/** Whether two descriptions of an endpoint say the same. The order of labels does not matter. */
export function sameMetadata(a: EndpointMetadata, b: EndpointMetadata): boolean {
  return (
    a === b ||
    (a.id === b.id &&
      a.namespace === b.namespace &&
      a.name === b.name &&
      a.address === b.address &&
      a.port === b.port &&
      a.metricsHost === b.metricsHost &&
      a.nodeAddress === b.nodeAddress &&
      a.rankIndex === b.rankIndex &&
      sameLabels(a.labels, b.labels))
  );
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}
