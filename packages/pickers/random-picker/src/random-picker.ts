import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { randomPickerParams } from "./params.ts";

/**
 * Moves `count` indexes, drawn at random, to the front of `order`. `order` holds each index once, in any order, and
 * does so afterwards. O(count), no allocation.
 */
export function drawToFront(order: Uint32Array, count: number, random: () => number): void {
  for (let i = 0; i < count; i++) {
    const place = i + Math.floor(random() * (order.length - i));
    const drawn = order[place]!;
    order[place] = order[i]!;
    order[i] = drawn;
  }
}

export const randomPicker: AnyPluginDefinition = definePlugin({
  type: "random-picker",
  kind: "picker",
  stability: "beta",
  summary: "Picks at random, each endpoint with the same chance; scores do not count.",
  params: randomPickerParams,
  create({ maxNumOfEndpoints }, host) {
    const random = (): number => host.random();
    let order = new Uint32Array(0);
    return {
      pick(_request, endpoints) {
        if (maxNumOfEndpoints === 1) return [endpoints[Math.floor(random() * endpoints.length)]!];
        if (order.length !== endpoints.length) order = Uint32Array.from(endpoints.keys());
        const count = Math.min(maxNumOfEndpoints, endpoints.length);
        drawToFront(order, count, random);
        return Array.from(order.subarray(0, count), (index) => endpoints[index]!);
      },
    };
  },
});
