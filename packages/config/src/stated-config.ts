import type { ConfigNode, Place } from "./config-node.ts";

/** A value as the file states it, with its place. */
export interface Stated<T> {
  readonly value: T;
  readonly at: Place;
}

/** One entry of `plugins`. */
export interface StatedPlugin {
  /** The type where no name is given; `undefined` when neither can be read. */
  readonly name: Stated<string> | undefined;
  readonly type: Stated<string> | undefined;
  readonly parameters: ConfigNode | undefined;
  readonly at: Place;
}

/** One entry of a profile's `plugins`. */
export interface StatedProfilePlugin {
  readonly ref: Stated<string>;
  readonly weight: Stated<number> | undefined;
}

export interface StatedProfile {
  readonly name: Stated<string> | undefined;
  readonly plugins: readonly StatedProfilePlugin[];
  readonly at: Place;
}

export interface StatedSource {
  readonly ref: Stated<string>;
  readonly extractors: readonly Stated<string>[];
}

/** What a configuration file says, read as far as it can be. Deprecated fields have been moved to their new places. */
export interface StatedConfig {
  readonly featureGates: ReadonlyMap<string, boolean>;
  readonly plugins: readonly StatedPlugin[];
  /** `undefined`: not given. */
  readonly profiles: readonly StatedProfile[] | undefined;
  readonly injectDefaults: boolean;
  readonly sources: readonly StatedSource[];
  readonly discovery: Stated<string> | undefined;
  readonly parsers: readonly Stated<string>[];
  readonly saturationDetector: Stated<string> | undefined;
  /** Names that may be meant for plugins of `plugins` were not readable: what is missing may be there. */
  readonly incomplete: boolean;
}
