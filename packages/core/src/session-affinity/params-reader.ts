import type { ParamsIssue } from "../plugin/params-schema.ts";

/** An object of parameters with the place where it stands. */
export interface Fields {
  readonly path: readonly PropertyKey[];
  readonly values: Readonly<Record<string, unknown>>;
}

const headerPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const nothing: Readonly<Record<string, unknown>> = {};

/** Takes parameters apart and collects what is wrong with them. A value that is refused reads as not given. */
export class ParamsReader {
  readonly issues: ParamsIssue[] = [];

  complain(path: readonly PropertyKey[], message: string): void {
    this.issues.push({ path, message });
  }

  /** Fields of an object that has no others than `names`. */
  object(value: unknown, path: readonly PropertyKey[], names: readonly string[]): Fields {
    if (value === undefined) return { path, values: nothing };
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.complain(path, "must be a map");
      return { path, values: nothing };
    }
    // Any object has unknown values under names.
    const values = value as Readonly<Record<string, unknown>>;
    for (const name of Object.keys(values)) {
      if (!names.includes(name)) {
        this.complain([...path, name], `no such parameter; there are ${names.map((known) => `"${known}"`).join(", ")}`);
      }
    }
    return { path, values };
  }

  list(fields: Fields, name: string): readonly unknown[] {
    const value = fields.values[name];
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.complain([...fields.path, name], "must be a list");
    return [];
  }

  text(fields: Fields, name: string): string | undefined {
    const value = fields.values[name];
    if (value === undefined || typeof value === "string") return value;
    this.complain([...fields.path, name], "must be text: put it in quotes");
    return undefined;
  }

  /** A header's name in lower case, without white space around it; `undefined` where it is blank. */
  headerName(fields: Fields, name: string): string | undefined {
    const text = this.text(fields, name)?.trim().toLowerCase();
    if (text === undefined || text === "") return undefined;
    if (headerPattern.test(text)) return text;
    this.complain([...fields.path, name], "must be the name of a header");
    return undefined;
  }

  oneOf<T extends string>(fields: Fields, name: string, allowed: readonly T[], otherwise: T): T {
    const value = fields.values[name];
    if (value === undefined) return otherwise;
    const found = allowed.find((one) => one === value);
    if (found !== undefined) return found;
    this.complain([...fields.path, name], `must be one of ${allowed.map((one) => `"${one}"`).join(", ")}`);
    return otherwise;
  }

  number(
    fields: Fields,
    name: string,
    range: { readonly min: number; readonly max: number; readonly integer?: boolean; readonly orZero?: boolean },
  ): number | undefined {
    const value = fields.values[name];
    if (value === undefined || (value === 0 && range.orZero === true)) return value;
    const whole = range.integer !== true || Number.isInteger(value);
    if (typeof value === "number" && whole && value >= range.min && value <= range.max) return value;
    const kind = range.integer === true ? "a whole number" : "a number";
    const zero = range.orZero === true ? "0 or " : "";
    this.complain([...fields.path, name], `must be ${zero}${kind} from ${range.min} to ${range.max}`);
    return undefined;
  }
}
