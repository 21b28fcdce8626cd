import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { interruption } from "../../src/cli/interruption.js";

const listeners = () => process.listenerCount("SIGINT") + process.listenerCount("SIGTERM");

describe("interruption", () => {
  let before = 0;
  beforeEach(() => {
    vi.useFakeTimers();
    before = listeners();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("asks to stop at the first signal, and only once", () => {
    const onFirst = vi.fn();
    const interrupted = interruption(onFirst);
    interrupted.listen();
    process.emit("SIGINT");
    // npm passes a terminal's Ctrl-C on to a child that has it already.
    process.emit("SIGINT");
    expect(interrupted.signal.aborted).toBe(true);
    expect(onFirst).toHaveBeenCalledTimes(1);
    interrupted.release();
  });

  it("leaves a second signal its default effect, which ends the process", () => {
    const interrupted = interruption(() => {});
    interrupted.listen();
    process.emit("SIGTERM");
    vi.advanceTimersByTime(1000);
    expect(listeners()).toBe(before);
  });

  it("does nothing before listen and after release", () => {
    const interrupted = interruption(() => {});
    expect(listeners()).toBe(before);
    interrupted.listen();
    expect(listeners()).toBe(before + 2);
    interrupted.release();
    expect(listeners()).toBe(before);
  });
});
