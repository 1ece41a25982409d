const imageTypes: ReadonlySet<string> = new Set(["image/jpeg", "image/png", "image/gif", "image/webp"]);

/** Longest text before the data that is looked at. */
const maxPrefixCharacters = 1024;

/** Says what is wrong with the URL of an image in the body. Missing values: undefined when nothing is. */
export function dataUrlProblem(url: string): string | undefined {
  const comma = url.slice(0, maxPrefixCharacters).indexOf(",");
  if (comma === -1) return "a data URL has no comma";
  const [type = "", ...parameters] = url.slice("data:".length, comma).split(";");
  if (!parameters.some((each) => each.trim().toLowerCase() === "base64")) return "a data URL is not base64";
  if (!imageTypes.has(type.trim().toLowerCase())) return "a data URL is no JPEG, PNG, GIF or WebP";
  return undefined;
}
