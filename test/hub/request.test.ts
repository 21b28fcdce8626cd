import { describe, expect, it } from "vitest";
import { backoff, retryAfter } from "../../src/hub/request.js";

describe("how long a server asks to wait", () => {
  const asked = (headers: Record<string, string>) => retryAfter(new Headers(headers));

  it("is given in seconds, as a date, or as the end of a window", () => {
    expect(asked({ "retry-after": "120" })).toBe(120_000);
    expect(asked({ ratelimit: '"api";r=0;t=55' })).toBe(55_000);
    const date = asked({ "retry-after": new Date(Date.now() + 60_000).toUTCString() });
    expect(date).toBeGreaterThan(55_000);
    expect(date).toBeLessThanOrEqual(60_000);
  });

  it("is nothing for a date that has passed, and unknown for nonsense or a window with room", () => {
    expect(asked({ "retry-after": new Date(0).toUTCString() })).toBe(0);
    expect(asked({ "retry-after": "soon" })).toBeUndefined();
    expect(asked({ ratelimit: '"api";r=9;t=55' })).toBeUndefined();
    expect(asked({})).toBeUndefined();
  });
});

it("waits grow, to half a minute and a little more", () => {
  const waits = Array.from({ length: 12 }, (_, i) => backoff(i + 1));
  expect(waits[0]).toBeGreaterThanOrEqual(250);
  expect(waits[0]).toBeLessThanOrEqual(300);
  expect(waits[11]).toBeGreaterThanOrEqual(30_000);
  expect(waits[11]).toBeLessThanOrEqual(36_000);
});
