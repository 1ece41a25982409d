import { type Clock, errorText, type NamedPlugin } from "@pointsman/core";

/** A larger state of one plugin is left out. */
const maxStateBytes = 1024 * 1024;
/** States beyond this sum are left out. */
const maxSumBytes = 8 * 1024 * 1024;

/** What a plugin tells about itself, or why there is nothing. */
export interface PluginState {
  readonly name: string;
  readonly type: string;
  readonly told: { readonly stateJson: string } | { readonly message: string };
}

/** The states of plugins in their order. Never throws: a broken plugin breaks its own entry only. */
export function pluginStates(plugins: readonly NamedPlugin[]): readonly PluginState[] {
  let sumBytes = 0;
  return plugins.map(({ name, type, instance }) => {
    let told = instance.dumpState === undefined ? unsupported : stateOf(instance.dumpState.bind(instance));
    if ("stateJson" in told) {
      const bytes = Buffer.byteLength(told.stateJson);
      if (bytes > maxStateBytes) told = tooLarge(`it is larger than ${maxStateBytes} bytes`);
      else if (sumBytes + bytes > maxSumBytes)
        told = tooLarge(`with those before it, ${maxSumBytes} bytes are exceeded`);
      else sumBytes += bytes;
    }
    return { name, type, told };
  });
}

/**
 * The page of `/debug/plugins/state`: time and, for each plugin, what it tells about itself or why there is nothing.
 * Source: spec ext-proc section 10.5.
 */
export function pluginStatesPage(plugins: readonly NamedPlugin[], clock: Clock): string {
  const timestamp = JSON.stringify(timeText(clock));
  const members = pluginStates(plugins).map(({ name, type, told }) => {
    const head = `"name":${JSON.stringify(name)},"type":${JSON.stringify(type)}`;
    const rest = "stateJson" in told ? `"state":${told.stateJson}` : `"message":${JSON.stringify(told.message)}`;
    return `${JSON.stringify(name)}:{${head},${rest}}`;
  });
  return `{"timestamp":${timestamp},"plugins":{${members.join(",")}}}\n`;
}

/** The time as RFC 3339 has it. */
export function timeText(clock: Clock): string {
  return new Date(clock.wallTime()).toISOString();
}

type Told = PluginState["told"];

const unsupported: Told = { message: "plugin does not support state collection" };
const tooLarge = (why: string): Told => ({ message: `failed to dump plugin state: ${why}` });

function stateOf(dump: () => unknown): Told {
  let state: unknown;
  try {
    state = dump();
  } catch (thrown: unknown) {
    return { message: `failed to dump plugin state: ${errorText(thrown)}` };
  }
  try {
    // Its type says string; functions and undefined give undefined.
    const stateJson = JSON.stringify(state) as string | undefined;
    if (stateJson !== undefined) return { stateJson };
  } catch {
    // A ring, or a number that JSON does not have.
  }
  return { message: "plugin returned invalid JSON state" };
}
