import pc from "picocolors";

/** Colours for a stream: none unless it is a terminal that wants them (`NO_COLOR` turns them off). */
const coloursFor = (stream: NodeJS.WriteStream) =>
  pc.createColors(stream.isTTY === true && pc.isColorSupported);

/** Colours of the results on stdout. */
export const colours = coloursFor(process.stdout);
/** Colours of the notices on stderr. */
export const noticeColours = coloursFor(process.stderr);

/** Columns of stdout, at most 100; 80 where it is no terminal. */
export const outputWidth = (): number => Math.min(process.stdout.columns ?? 80, 100);

/** Results go to stdout. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Everything that is not the result goes to stderr, so that stdout can be piped. */
export function notice(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** The one JSON document of `--json`. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Text of a model or a data file, made harmless for a terminal: no escape sequences reach it. */
export function printable(text: string): string {
  if (!process.stdout.isTTY) return text;
  return text.replace(/(?![\n\t])\p{Cc}/gu, "\uFFFD");
}

export const count = (value: number): string => value.toLocaleString("en");

/** "1 row", "2 rows". */
export const plural = (value: number, noun: string): string =>
  `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Seconds as 4s, 1:05 or 2:01:00. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  const pad = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0
    ? `${hours}:${pad(minutes)}:${pad(whole % 60)}`
    : `${minutes}:${pad(whole % 60)}`;
}
