/** Longer than the token of any endpoint id that Kubernetes allows. */
const maxTokenChars = 1024;

/** The token that names an endpoint to a client: its id as base64 with padding. */
export function endpointToken(endpointId: string): string {
  return Buffer.from(endpointId).toString("base64");
}

/** The endpoint id in a token; `undefined` where the text is no token. Never throws. */
export function endpointIdOf(token: string): string | undefined {
  if (token === "" || token.length > maxTokenChars) return undefined;
  const bytes = Buffer.from(token, "base64");
  // Node drops what is no base64.
  return bytes.toString("base64") === token ? bytes.toString() : undefined;
}
