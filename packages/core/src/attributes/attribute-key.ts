/** Where values of a key live: on an endpoint for its lifetime, or on one request. */
export type AttributeScope = "endpoint" | "request";

/**
 * Names one piece of shared data: what it is (`dataType`) and who writes it (`producer`).
 *
 * Text form `dataType/producer`, as in configuration and logs. There is one object per text form in a process.
 */
export interface AttributeKey<T> {
  readonly id: string;
  readonly dataType: string;
  readonly producer: string;
  readonly scope: AttributeScope;
  /** Dense position among all keys of the process, for array storage. */
  readonly index: number;
  /** Plugin type that the configuration loader creates when this key is required and nobody produces it. */
  readonly defaultProducerType: string | undefined;
  /** For values of a request that say something of each candidate: what they say of the one in `slot`, by name. */
  perEndpoint?(value: T, slot: number): ReturnType<PerEndpoint<T>>;
  /** Carries the value type; never present at run time. */
  readonly valueType?: T;
}

/** Reads a table's entries for one endpoint; NaN and `undefined` mean unknown. */
export type PerEndpoint<T> = (value: T, slot: number) => Readonly<Record<string, number | undefined>>;

/** A family of keys that differ only in who produces them. */
export interface AttributeType<T> {
  readonly dataType: string;
  /** The key written by the producer of this name; without a name (or with ""), by the default producer. */
  from(producer?: string): AttributeKey<T>;
}

const keysById = new Map<string, AttributeKey<unknown>>();

/**
 * Declares an attribute.
 *
 * `defaultProducer` is the producer name used when a consumer names none. With `autoCreate`, the configuration loader
 * adds a plugin of that type when the default key is required and nothing produces it. `perEndpoint` makes values of a
 * request show in decision records.
 */
export function defineAttribute<T>(options: {
  readonly dataType: string;
  readonly scope: AttributeScope;
  readonly defaultProducer: string;
  readonly autoCreate?: boolean;
  readonly perEndpoint?: PerEndpoint<T>;
}): AttributeType<T> {
  const { dataType, scope, defaultProducer } = options;
  /** Asked for several times in each request, where making and looking up its id would show. */
  let defaultKey: AttributeKey<T> | undefined;
  const keyOf = (name: string): AttributeKey<T> => {
    const id = `${dataType}/${name}`;
    const known = keysById.get(id);
    if (known !== undefined) {
      if (known.scope !== scope) throw new Error(`attribute ${id} is declared with two scopes`);
      // The map erases T; the id and scope fix it.
      return known as AttributeKey<T>;
    }
    const key: AttributeKey<T> = {
      id,
      dataType,
      producer: name,
      scope,
      index: keysById.size,
      ...(options.perEndpoint === undefined ? {} : { perEndpoint: options.perEndpoint }),
      defaultProducerType: options.autoCreate === true && name === defaultProducer ? defaultProducer : undefined,
    };
    keysById.set(id, key);
    return key;
  };
  return {
    dataType,
    from(producer) {
      if (producer !== undefined && producer !== "") return keyOf(producer);
      defaultKey ??= keyOf(defaultProducer);
      return defaultKey;
    },
  };
}

/**
 * This copy's key for one that may come from another copy of this package, as when a plugin brings its own: keys are
 * the same if their text forms are.
 */
export function internAttribute<T>(key: AttributeKey<T>): AttributeKey<T> {
  const known = keysById.get(key.id);
  // The map erases T; the id fixes it.
  if (known !== undefined) return known as AttributeKey<T>;
  return defineAttribute<T>({
    dataType: key.dataType,
    scope: key.scope,
    defaultProducer: key.producer,
    ...(key.perEndpoint === undefined ? {} : { perEndpoint: key.perEndpoint }),
  }).from();
}
