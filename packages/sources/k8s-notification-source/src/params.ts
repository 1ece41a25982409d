import { z } from "zod";

export interface K8sNotificationSourceParams {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export const k8sNotificationSourceParams: z.ZodType<K8sNotificationSourceParams> = z.strictObject({
  group: z.string().max(253).default("").describe("API group of the objects; empty is the core group."),
  version: z.string().min(1).max(63).describe("API version, for instance `v1`."),
  kind: z.string().min(1).max(63).describe("Kind as in manifests, for instance `Pod`."),
});
