import { type Clock, errorText, type NamedPlugin } from "@pointsman/core";

/** A larger state of one plugin is left out. */
const maxStateBytes = 1024 * 1024;

/**
 * The page of `/debug/plugins/state`: time and, for each plugin, what it tells about itself or why there is nothing.
 * Source: spec ext-proc section 10.5.
 */
export function pluginStates(plugins: readonly NamedPlugin[], clock: Clock): string {
  const timestamp = JSON.stringify(new Date(clock.wallTime()).toISOString());
  const members = plugins.map(({ name, type, instance }) => {
    const told = instance.dumpState === undefined ? unsupported : stateOf(instance.dumpState.bind(instance));
    const [key, value] = told;
    const head = `"name":${JSON.stringify(name)},"type":${JSON.stringify(type)}`;
    return `${JSON.stringify(name)}:{${head},"${key}":${value}}`;
  });
  return `{"timestamp":${timestamp},"plugins":{${members.join(",")}}}\n`;
}

type Told = readonly [key: "state" | "message", json: string];

const message = (text: string): Told => ["message", JSON.stringify(text)];
const unsupported = message("plugin does not support state collection");

function stateOf(dump: () => unknown): Told {
  let state: unknown;
  try {
    state = dump();
  } catch (thrown: unknown) {
    return message(`failed to dump plugin state: ${errorText(thrown)}`);
  }
  let json: string | undefined;
  try {
    // Its type says string; functions and undefined give undefined.
    json = JSON.stringify(state) as string | undefined;
  } catch {
    json = undefined;
  }
  if (json === undefined) return message("plugin returned invalid JSON state");
  if (json.length > maxStateBytes)
    return message(`failed to dump plugin state: it is larger than ${maxStateBytes} bytes`);
  return ["state", json];
}
