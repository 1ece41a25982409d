export { burstPrefixCacheProducer as default } from "./burst-prefix-cache-producer.ts";
