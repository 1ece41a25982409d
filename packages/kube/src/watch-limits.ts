/** Times and sizes; tests shorten them. */
export interface WatchLimits {
  /** Time between full lists beside the watch. */
  readonly resyncMs: number;
  /** Length of one watch request. The server ends it with a bookmark, so contact is never older than this and the grace. */
  readonly watchMs: number;
  /** Silence beyond the length of the watch that counts as a lost connection; also the longest silence in a list. */
  readonly graceMs: number;
  /** Longest time that a list may take in all. */
  readonly listMs: number;
  /** Objects of one page of a list. */
  readonly pageObjects: number;
  readonly firstBackOffMs: number;
  readonly mostBackOffMs: number;
  /** Pause before a kind that the API server does not know is looked for again. */
  readonly absentMs: number;
  /** A kind that was known must be unknown for this long before its objects count as gone. */
  readonly goneMs: number;
  readonly maxObjects: number;
  readonly maxObjectBytes: number;
}

/** What a picker runs with. */
export const defaultWatchLimits: WatchLimits = {
  resyncMs: 300_000,
  watchMs: 30_000,
  graceMs: 5_000,
  listMs: 60_000,
  pageObjects: 250,
  firstBackOffMs: 200,
  mostBackOffMs: 5_000,
  absentMs: 15_000,
  goneMs: 15_000,
  maxObjects: 50_000,
  maxObjectBytes: 4 * 1024 * 1024,
};
