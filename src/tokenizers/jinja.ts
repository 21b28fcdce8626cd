import { createContext, Script } from "node:vm";
import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { FacetError } from "../errors.js";

/** Longest that a template may take, in milliseconds. Chat templates take far less than one. */
const TIME_LIMIT = 2000;

/** A Jinja template, parsed: its text with these values. Throws a FacetError for what the template refuses (`raise_exception`). */
export type JinjaTemplate = (values: Readonly<Record<string, unknown>>) => string;

/**
 * Parses a Jinja template as Transformers does (blocks take the newline after them). Templates come with the files of
 * strangers, so one that loops for longer than two seconds is stopped. `where` begins the messages of errors.
 */
export function jinjaTemplate(source: string, where: string): JinjaTemplate {
  const { parsed } = limited(() => new Template(source), where);
  return (values) =>
    limited(() => {
      const environment = new Environment();
      for (const [name, value] of Object.entries({ ...globals, ...values })) {
        environment.set(name, value);
      }
      return (new Interpreter(environment).run(parsed) as { value: string }).value;
    }, where);
}

/** The names that a template uses: of values, of its own variables, and of members. Throws a FacetError for a malformed one. */
export function jinjaNames(source: string, where: string): Set<string> {
  const names = new Set<string>();
  const walk = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    const { type, value } = node as { type?: unknown; value?: unknown };
    if (type === "Identifier" && typeof value === "string") names.add(value);
    Object.values(node).forEach(walk);
  };
  walk(limited(() => new Template(source), where).parsed);
  return names;
}

/** No conversation has as many turns. */
const LONGEST_RANGE = 100_000;

/** What Transformers gives every template. The library's own `range` makes a list of any length: V8 ends the process for some. */
const globals = {
  ...{ true: true, false: false, none: null, True: true, False: false, None: null },
  range,
  raise_exception(reason: string): never {
    throw new Error(reason);
  },
};

/** Python's. */
function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(step !== 0 && length <= LONGEST_RANGE)) {
    throw new Error(`range(${start}, ${stop}, ${step}) is too long`);
  }
  return Array.from({ length }, (_, i) => start + i * step);
}

// The limit holds for everything that a script calls, in whatever context it was made.
const context = createContext({ run: undefined as unknown });
const script = new Script("run()");

function limited<T>(run: () => T, where: string): T {
  try {
    context.run = run;
    return script.runInContext(context, { timeout: TIME_LIMIT }) as T;
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const reason =
      code === "ERR_SCRIPT_EXECUTION_TIMEOUT"
        ? `it took more than ${TIME_LIMIT / 1000} seconds`
        : message;
    throw new FacetError(`${where}: ${reason}`);
  } finally {
    context.run = undefined;
  }
}
