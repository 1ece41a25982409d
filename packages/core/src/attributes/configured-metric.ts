import { errorText } from "../errors.ts";
import { type AttributeKey, defineAttribute } from "./attribute-key.ts";
import { customMetric } from "./metric-attributes.ts";

/**
 * The key of a number that parameters name by attribute and producer: written by `core-metrics-extractor` where no
 * producer is given, by nobody in particular where it is `""`.
 *
 * Returns a text that says what is wrong where no such key can be.
 */
export function configuredMetric(attribute: string, producer: string | undefined): AttributeKey<number> | string {
  if (producer === undefined) {
    if (attribute.includes("/")) {
      return (
        `${JSON.stringify(attribute)} contains "/": name the attribute alone and put who writes it into producer, ` +
        `which is "" for an attribute of no particular producer`
      );
    }
  }
  try {
    if (producer === undefined) return customMetric(attribute);
    return defineAttribute<number>({ dataType: attribute, scope: "endpoint", defaultProducer: producer }).from();
  } catch (thrown: unknown) {
    return `names no number of endpoints: ${errorText(thrown)}`;
  }
}
