import { FacetError } from "../errors.js";

/** A server cannot be reached, or does not work at present: what is on this machine may do instead. */
export class Unreachable extends FacetError {}

export interface Asking {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** How many times to ask a server that fails. Default: 6. */
  readonly tries?: number;
  /** Called with a sentence when the server asks to wait for a while. */
  readonly onNotice?: ((text: string) => void) | undefined;
}

/** Whether the user forbids requests. */
export const isOffline = (): boolean =>
  [process.env.HF_HUB_OFFLINE, process.env.TRANSFORMERS_OFFLINE].some((value) =>
    /^(1|on|yes|true)$/i.test(value ?? ""),
  );

/** Milliseconds until a server has to begin its answer. */
const ANSWER_MS = 30_000;
/** The longest wait that a server may ask for, in milliseconds. */
const LONGEST_WAIT_MS = 10 * 60_000;

/**
 * Asks until there is an answer: again after 429 and 408 (as late as Retry-After says), 5xx and lost connections. Gives
 * any other answer as it is, with redirects followed; the token does not go along to another host.
 * Throws Unreachable, or the signal's reason.
 */
export async function ask(url: string | URL, asking: Asking = {}): Promise<Response> {
  const { signal, tries = 6, onNotice } = asking;
  const { host } = new URL(url);
  for (let failures = 1; ; failures++) {
    signal?.throwIfAborted();
    let problem: string;
    let wait = backoff(failures);
    let cause: unknown;
    try {
      const response = await answer(url, asking);
      if (!isTemporary(response.status)) return response;
      await response.body?.cancel();
      problem = `${host} answers ${response.status} ${response.statusText}`.trim();
      wait = retryAfter(response.headers) ?? wait;
    } catch (error) {
      signal?.throwIfAborted();
      cause = error;
      problem = `${host} cannot be reached (${networkError(error)})`;
    }
    if (failures >= tries || wait > LONGEST_WAIT_MS) {
      const later = wait > LONGEST_WAIT_MS ? ` It asks to wait ${seconds(wait)}.` : "";
      throw new Unreachable(`${problem}.${later} What was downloaded is kept; try again later.`, {
        cause,
      });
    }
    if (wait > 5000) onNotice?.(`${problem}; trying again in ${seconds(wait)}`);
    await pause(wait, signal);
  }
}

async function answer(url: string | URL, { headers, signal }: Asking): Promise<Response> {
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new Error(`no answer in ${seconds(ANSWER_MS)}`)),
    ANSWER_MS,
  );
  try {
    return await fetch(url, {
      // Sizes and ranges are those of the file, not of a compressed form.
      headers: { "accept-encoding": "identity", "user-agent": "facet", ...headers },
      signal: signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]),
    });
  } finally {
    clearTimeout(timer);
  }
}

const isTemporary = (status: number) => status === 408 || status === 429 || status >= 500;

/** Milliseconds before the next try: 0.25 s, doubled each time to at most 30 s, and up to a fifth more. */
export const backoff = (failures: number): number =>
  Math.min(250 * 2 ** (failures - 1), 30_000) * (1 + Math.random() / 5);

/**
 * How long a server asks to wait, in milliseconds: Retry-After gives seconds or a date; RateLimit, in
 * `"api";r=0;t=55`, the seconds until requests are allowed again.
 */
export function retryAfter(headers: Headers): number | undefined {
  const limit = /r=0\s*;\s*t=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1];
  const value = headers.get("retry-after") ?? limit;
  if (value === undefined) return undefined;
  const wait = /^\d+$/.test(value) ? 1000 * Number(value) : Date.parse(value) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

/** Waits. Throws the signal's reason when it is aborted. */
export async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      signal?.removeEventListener("abort", stop);
      resolve();
    }
    function stop() {
      clearTimeout(timer);
      reject(signal!.reason);
    }
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** What went wrong with a connection: fetch hides it in the cause. */
export function networkError(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : String(error));
}

const seconds = (milliseconds: number) => `${Math.ceil(milliseconds / 1000)} s`;
