import { FacetError } from "../errors.js";

/**
 * What stderr says of an error, after "error: ". What the user can act on is one message; anything
 * else is a bug, and shows where it happened.
 */
export function errorText(error: unknown): string {
  return harmless(textOf(error));
}

/** Messages quote names out of files, which may be endless, and may hold escape sequences that a terminal would obey. */
function harmless(text: string): string {
  const short = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return short.replace(/(?![\n\t])\p{Cc}/gu, "\uFFFD");
}

const LONGEST = 10_000;

function textOf(error: unknown): string {
  if (error instanceof FacetError) return error.message;
  if (isRefusal(error)) return `The system refused: ${error.message}.`;
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return `${message}\nThis is a bug in Facet. Please report it with these lines:\n${stack}`;
}

/** A folder that may not be written, a full disk: nobody's bug, and the message names the file. */
function isRefusal(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error && "code" in error;
}
