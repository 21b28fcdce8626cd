/** Thrown instead of an allocation that goes beyond the limit. */
export class Unjustified extends Error {}

/**
 * Lets `use` ask for `limit` bytes of buffers and long lists in all. What asks for more gets an error, which this
 * throws even when `use` catches it.
 */
export async function withAllocationLimit(
  limit: number,
  use: () => void | Promise<void>,
): Promise<void> {
  install();
  spent = 0;
  most = limit;
  refusal = undefined;
  try {
    // Most readers are done at once, and a turn of the event loop takes longer than they do.
    const reading = use();
    if (reading !== undefined) await reading;
  } finally {
    most = Number.POSITIVE_INFINITY;
    // biome-ignore lint/correctness/noUnsafeFinally: the refusal comes before what `use` made of it.
    if (refusal !== undefined) throw refusal;
  }
}

let spent = 0;
let most = Number.POSITIVE_INFINITY;
let refusal: Unjustified | undefined;
let restore: (() => void) | undefined;

function spend(bytes: number): void {
  if (most === Number.POSITIVE_INFINITY || !(bytes > 0)) return;
  spent += bytes;
  if (spent <= most) return;
  refusal ??= new Unjustified(`${spent} bytes of buffers and lists`);
  throw refusal;
}

/** Gives the global constructors back as they were. */
export function uninstall(): void {
  restore?.();
  restore = undefined;
}

function install(): void {
  if (restore !== undefined) return;
  const undo: (() => void)[] = [];
  const replace = <T extends object, K extends keyof T>(owner: T, name: K, by: T[K]) => {
    const before = owner[name];
    owner[name] = by;
    undo.push(() => {
      owner[name] = before;
    });
  };
  const constructors = globalThis as unknown as Record<string, new (...args: unknown[]) => object>;
  for (const [name, bytes] of Object.entries(itemBytes)) {
    const plain = constructors[name]!;
    const counting: typeof plain = new Proxy(plain, {
      construct(target, args, newTarget) {
        spend(lengthOf(args[0]) * bytes);
        return Reflect.construct(target, args, newTarget === counting ? target : newTarget);
      },
    });
    replace(constructors, name, counting);
  }
  const { from } = Array;
  replace(Array, "from", ((source: unknown, ...rest: unknown[]) => {
    if (!isIterable(source)) spend(8 * lengthOf((source as { length?: unknown })?.length));
    return (from as (...args: unknown[]) => unknown[])(source, ...rest);
  }) as typeof Array.from);
  for (const name of ["alloc", "allocUnsafe"] as const) {
    const plain = Buffer[name];
    replace(Buffer, name, ((size: number, ...rest: []) => {
      spend(size);
      return plain(size, ...rest);
    }) as typeof plain);
  }
  restore = () => {
    for (const one of undo.reverse()) one();
  };
}

const itemBytes = {
  ...{ ArrayBuffer: 1, Uint8Array: 1, Int8Array: 1, Uint8ClampedArray: 1 },
  ...{ Uint16Array: 2, Int16Array: 2, Uint32Array: 4, Int32Array: 4, Float32Array: 4 },
  ...{ Float64Array: 8, BigUint64Array: 8, BigInt64Array: 8 },
};

const isIterable = (value: unknown) =>
  typeof value === "object" && value !== null && Symbol.iterator in value;

/** What a constructor is asked for: a number of items, or those of a list. */
function lengthOf(argument: unknown): number {
  if (typeof argument === "number") return argument;
  return Array.isArray(argument) ? argument.length : 0;
}
