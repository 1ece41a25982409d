import type { InferenceModelRewrite, InferenceObjective } from "@pointsman/core";

/** A place in the file, both counted from 1, with what is to be said about it. */
export interface FileNote {
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

/** One endpoint as the file lists it. */
export interface ListedEndpoint {
  readonly namespace: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly metricsAddress: string;
  readonly metricsPort: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** One item of the list, valid or not. */
export interface ListedItem {
  /** `namespace/name`; `undefined` when the item does not say it in a usable way. */
  readonly id: string | undefined;
  /** `undefined` when something is wrong with the item; a note tells what. */
  readonly endpoint: ListedEndpoint | undefined;
}

/** One objective or rewrite of the file, valid or not. */
export interface ListedObject<T> {
  /** `undefined` when the item does not say it in a usable way. */
  readonly name: string | undefined;
  /** `undefined` when something is wrong with the item; a note tells what. */
  readonly object: T | undefined;
}

/** What a file says. Plain data, so that it can pass between threads. */
export interface EndpointsFile {
  /** In file order; `undefined` when the file as a whole cannot be used. */
  readonly items: readonly ListedItem[] | undefined;
  /** In file order; empty when there are none, and when the file as a whole cannot be used. */
  readonly objectives: readonly ListedObject<InferenceObjective>[];
  readonly modelRewrites: readonly ListedObject<InferenceModelRewrite>[];
  /** What is wrong, in file order; the first hundred. */
  readonly problems: readonly FileNote[];
  readonly problemCount: number;
  /** What is strange and has no effect or only a part of the intended one; the first hundred. */
  readonly warnings: readonly FileNote[];
}

/** The identity of an endpoint. */
export function listedId(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
