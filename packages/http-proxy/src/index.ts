export { createHttpProxy, type HttpProxy, type HttpProxyOptions } from "./http-proxy.ts";
export { defaultLimits, type HttpProxyLimits } from "./http-proxy-limits.ts";
