export { approxPrefixCacheProducer as default } from "./approx-prefix-cache-producer.ts";
