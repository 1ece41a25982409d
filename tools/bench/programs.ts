import { existsSync } from "node:fs";

/** A program that is there, or why it is not. */
export type Part = { readonly path: string } | { readonly missing: string };

/** Looks for a program whose path stands in the environment. */
export function findProgram(variable: string, what: string): Part {
  const path = process.env[variable];
  if (path === undefined || path === "") {
    return { missing: `${what} is not on this machine (${variable} is not set).` };
  }
  if (!existsSync(path)) return { missing: `${what} is not on this machine (${variable}=${path} does not exist).` };
  return { path };
}
