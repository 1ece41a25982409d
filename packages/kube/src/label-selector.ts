const maxChars = 4096;
const name = "[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?";
const key = `(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?${name}`;
const value = `(?:${name})?`;
const requirement = new RegExp(
  `^(?:${key}\\s*(?:==|=|!=)\\s*${value}|${key}\\s*[<>]\\s*-?\\d{1,18}|!?\\s*${key}|${key}\\s+(?:in|notin)\\s*\\(\\s*${value}(?:\\s*,\\s*${value})*\\s*\\))$`,
);

/**
 * Says what is wrong with a label selector (`a=b`, `a!=b`, `a in (x,y)`, `a notin (x)`, `a`, `!a`), `undefined` when
 * nothing is. The API server selects by it; this finds mistakes before a start depends on that.
 */
export function selectorProblem(text: string): string | undefined {
  if (text.length > maxChars) return `has more than ${maxChars} characters`;
  if (text.trim() === "") return "is empty";
  for (const part of text.split(/,(?![^(]*\))/)) {
    if (!requirement.test(part.trim())) return `has a requirement that cannot be read: ${JSON.stringify(part.trim())}`;
  }
  return undefined;
}
