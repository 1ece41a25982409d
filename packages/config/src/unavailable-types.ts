/** Plugin types that belong to flow control, which is not part of this version. */
export const flowControlTypes: ReadonlySet<string> = new Set([
  "fcfs-ordering-policy",
  "edf-ordering-policy",
  "slo-deadline-ordering-policy",
  "global-strict-fairness-policy",
  "round-robin-fairness-policy",
  "program-aware-fairness",
  "static-usage-limit-policy",
  "priority-holdback-policy",
  "soft-reflective-ceiling-policy",
  "sheddable-eviction-filter",
  "priority-then-time-eviction-order-policy",
]);
