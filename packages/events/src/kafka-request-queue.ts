/** Mends kafkajs' queue of requests, which keeps every idle process awake. */
// @ts-expect-error kafkajs publishes no types for its inner modules.
import RequestQueue from "kafkajs/src/network/requestQueue/index.js";

type Queue = { pending: readonly unknown[]; throttledUntil: number; scheduleCheckPendingRequests(): void };
let isQuiet = false;

/**
 * kafkajs looks at its queue of requests every 10 ms for ever, with a negative time-out that Node 24 warns about
 * (tulios/kafkajs#1751). There is nothing to look at while the queue is empty and the broker does not throttle.
 */
export function quietRequestQueue(): void {
  if (isQuiet) return;
  isQuiet = true;
  const prototype = RequestQueue.prototype as Queue;
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (this: Queue) {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this);
  };
}
