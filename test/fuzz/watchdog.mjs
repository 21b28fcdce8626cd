// Saves a case that does not come to an end, and ends the process.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { workerData } from "node:worker_threads";

const { state, bytes, place, seconds } = workerData;
let last = -1;
let since = Date.now();
setInterval(() => {
  const running = Atomics.load(state, 0);
  if (running === 0 || running !== last) {
    last = running;
    since = Date.now();
  } else if (Date.now() - since > seconds * 1000) {
    let at = 0;
    for (const [name, length] of JSON.parse(Buffer.from(bytes.slice(0, state[1])).toString())) {
      mkdirSync(dirname(join(place, name)), { recursive: true });
      writeFileSync(join(place, name), bytes.slice(state[1] + at, state[1] + at + length));
      at += length;
    }
    writeFileSync(2, `A case takes longer than ${seconds} seconds; it is in ${place}.\n`);
    process.kill(process.pid, "SIGKILL");
  }
}, 1000).unref();
