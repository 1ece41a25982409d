/** How a field's value lies in the bytes. */
export const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const startGroup = 3;
const endGroup = 4;
const maxVarintBytes = 10;

/** Groups within groups that are passed over; deeper ones make a message malformed. */
export const maxGroupDepth = 100;

/** Fields of a message that are read unless told otherwise; groups and what is in them count. */
export const defaultMaxFields = 65_536;

/**
 * Walks over the fields of one protobuf message in place, without knowing its type.
 *
 * `next` goes to the next field and says whether there is one; `problem` tells afterwards whether the message ended
 * well. Groups are passed over. Never throws, and reads nothing outside the message. Cost: bounded by `maxFields`; no
 * allocation but for the values that are asked for.
 */
export class ProtoFields {
  /** Number of the field at hand. */
  number = 0;
  /** One of {@link wireType}. */
  type = 0;
  /** What makes the message malformed. Missing: it is well-formed as far as it was read. */
  problem: string | undefined;
  readonly #bytes: Uint8Array;
  readonly #maxFields: number;
  #fields = 0;
  #at = 0;
  /** The varint that was read last: its low 32 bits, and whether any other bit is set. */
  #low = 0;
  #high = false;
  #valueStart = 0;

  /** A message of more fields is taken as malformed. */
  constructor(message: Uint8Array, maxFields: number = defaultMaxFields) {
    this.#bytes = message;
    this.#maxFields = maxFields;
  }

  next(): boolean {
    while (this.problem === undefined && this.#at < this.#bytes.length) {
      if (!this.#tag()) return false;
      if (this.type === startGroup) this.#skipGroup();
      else if (this.type === endGroup) this.#fail("a group ends that has not started");
      else return this.#value();
    }
    return false;
  }

  /** Tells whether the field at hand is this one, in this form. */
  is(number: number, type: number): boolean {
    return this.number === number && this.type === type;
  }

  /** Low 32 bits of a varint field. */
  uint32(): number {
    return this.#low;
  }

  /** Tells whether any bit of a varint field is set. */
  bool(): boolean {
    return this.#low !== 0 || this.#high;
  }

  /** Value of a length-delimited field, as a view. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(this.#valueStart, this.#at);
  }

  #tag(): boolean {
    if (++this.#fields > this.#maxFields) return this.#fail(`there are more than ${this.#maxFields} fields`);
    if (!this.#varint()) return false;
    if (this.#high || this.#low >>> 3 === 0) return this.#fail("a field number is out of range");
    this.number = this.#low >>> 3;
    this.type = this.#low & 7;
    return true;
  }

  #value(): boolean {
    switch (this.type) {
      case wireType.varint:
        return this.#varint();
      case wireType.fixed64:
        return this.#advance(8, false);
      case wireType.fixed32:
        return this.#advance(4, false);
      case wireType.bytes:
        return this.#varint() && this.#advance(this.#low, this.#high);
      default:
        return this.#fail(`wire type ${this.type} is unknown`);
    }
  }

  #skipGroup(): void {
    const open = [this.number];
    while (open.length > 0) {
      if (this.#at >= this.#bytes.length) {
        this.#fail("a group does not end");
        return;
      }
      if (!this.#tag()) return;
      if (this.type === startGroup) {
        if (open.length >= maxGroupDepth) {
          this.#fail(`groups are nested more than ${maxGroupDepth} deep`);
          return;
        }
        open.push(this.number);
      } else if (this.type === endGroup) {
        if (open.pop() !== this.number) {
          this.#fail("a group ends with another field number");
          return;
        }
      } else if (!this.#value()) return;
    }
  }

  #varint(): boolean {
    let low = 0;
    let high = 0;
    for (let i = 0; i < maxVarintBytes; i++) {
      if (this.#at >= this.#bytes.length) return this.#fail("a number is cut");
      const byte = this.#bytes[this.#at++]!;
      const bits = byte & 0x7f;
      if (i < 5) low |= bits << (7 * i);
      if (i > 4) high |= bits;
      else if (i === 4) high |= bits >>> 4;
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high !== 0;
        return true;
      }
    }
    return this.#fail(`a number has more than ${maxVarintBytes} bytes`);
  }

  #advance(count: number, tooLarge: boolean): boolean {
    if (tooLarge || count > this.#bytes.length - this.#at) return this.#fail("a value is cut");
    this.#valueStart = this.#at;
    this.#at += count;
    return true;
  }

  #fail(problem: string): false {
    this.problem = `${problem} (byte ${this.#at})`;
    return false;
  }
}
