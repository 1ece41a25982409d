import type { ConnectionOptions } from "./coordinator-options.ts";
import type { SettingValues } from "./setting-values.ts";

/** What 0 stands for, as in Go's HTTP client. */
const zeroIdlePerTarget = 2;

/** Reads how connections to one service are kept. `section` stands before the names of the settings. */
export function readConnections(values: SettingValues, section: "" | "gateway."): ConnectionOptions {
  return {
    maxIdlePerTarget: values.integerLimit(`${section}max_idle_conns_per_host`) ?? zeroIdlePerTarget,
    idleTimeoutMs: values.durationLimitMs(`${section}idle_conn_timeout`) ?? Number.POSITIVE_INFINITY,
  };
}
