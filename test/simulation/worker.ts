/** One thread of `make simulate`: explores its share of the seeds, a second at a time. */
import { parentPort, workerData } from "node:worker_threads";
import { type Exploration, explore } from "./explore.ts";

const { firstSeed, stride, runs, seconds }: Exploration = workerData;
const endsMs = performance.now() + seconds * 1_000;
let done = 0;
while (done < runs && performance.now() < endsMs) {
  const part = { firstSeed: firstSeed + done * stride, stride, runs: runs - done, seconds: 1 };
  const summary = await explore(part);
  done += summary.runs;
  parentPort?.postMessage(summary);
}
