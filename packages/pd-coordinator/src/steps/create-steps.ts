import type { CoordinatorOptions, StepOptions } from "../config/coordinator-options.ts";
import { ServiceClient } from "../gateway/service-client.ts";
import type { MediaNetwork } from "../media/media-network.ts";
import type { Step } from "../pipeline/step.ts";
import { ConditionalDecode } from "./conditional-decode.ts";
import { Decode } from "./decode.ts";
import { Encode } from "./encode.ts";
import { Prefill } from "./prefill.ts";
import { Render } from "./render.ts";
import { ReplaceMediaUrls } from "./replace-media-urls.ts";

/** What steps have in common. */
export interface StepParts {
  readonly gateway: ServiceClient;
  readonly network: MediaNetwork;
  broken(thrown: unknown): void;
}

/** Makes the steps of a configuration. */
export function createSteps(options: CoordinatorOptions, parts: StepParts): Step[] {
  return options.steps.map((step) => createStep(step, options, parts));
}

function createStep(step: StepOptions, options: CoordinatorOptions, parts: StepParts): Step {
  const { gateway, network, broken } = parts;
  const { timeoutMs, decodeTimeoutMs } = options.gateway;
  switch (step.type) {
    case "replace-media-urls":
      return new ReplaceMediaUrls(step, network);
    case "render": {
      const { address, connections } = step;
      const { maxReplyBytes } = options;
      const service =
        address === undefined ? undefined : new ServiceClient({ address, connections, maxReplyBytes, broken });
      return new Render(step, service);
    }
    case "encode":
      return new Encode(step, gateway, timeoutMs);
    case "prefill":
      return new Prefill(step, options.sglang, gateway, timeoutMs);
    case "conditional-decode":
      return new ConditionalDecode(gateway, decodeTimeoutMs);
    case "decode":
      return new Decode(step, gateway, decodeTimeoutMs);
  }
}
