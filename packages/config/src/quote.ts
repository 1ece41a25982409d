const maxQuotedCharacters = 80;

/** Characters that change how a terminal shows the rest of a line: controls, line separators, direction marks. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Replaces what a terminal would not show as a character of its line. */
export function printable(text: string): string {
  return text.replace(/\s+/g, " ").replace(unprintable, escapeCharacter);
}

/** Shows a value in a message: as JSON, on one line, shortened. */
export function quote(value: unknown): string {
  if (typeof value === "number") return String(value);
  // `stringify` gives no text for functions, symbols and undefined.
  const json = JSON.stringify(typeof value === "string" ? shorten(value) : value) as string | undefined;
  return shorten(json ?? String(value)).replace(unprintable, escapeCharacter);
}

/** Lists names in a message, shortened when there are many. */
export function listNames(names: Iterable<string>): string {
  const all = [...names];
  const shown = all.slice(0, 100).map((name) => printable(shorten(name)));
  return all.length > shown.length ? `${shown.join(", ")} and ${all.length - shown.length} more` : shown.join(", ");
}

function shorten(text: string): string {
  return text.length > maxQuotedCharacters ? `${text.slice(0, maxQuotedCharacters - 3)}...` : text;
}

function escapeCharacter(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
