type Numbers = Uint32Array | Float64Array;

/** A flat list of numbers that grows at its end: a fraction of the memory of an array. */
export interface Growing<A extends Numbers> {
  readonly length: number;
  push(value: number): void;
  append(values: Numbers): void;
  /** What is in it now; a view, which is good until something is added. */
  values(): A;
}

export function growing<A extends Numbers>(make: new (length: number) => A): Growing<A> {
  let array = new make(16);
  let length = 0;
  const room = (more: number) => {
    if (length + more <= array.length) return;
    const larger = new make(Math.max(length + more, 2 * array.length));
    larger.set(array.subarray(0, length));
    array = larger;
  };
  return {
    get length() {
      return length;
    },
    push(value) {
      room(1);
      array[length++] = value;
    },
    append(values) {
      room(values.length);
      array.set(values, length);
      length += values.length;
    },
    values: () => array.subarray(0, length) as A,
  };
}
