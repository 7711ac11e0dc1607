/** The call that the running code serves: its deadline, trace, signal and caller, carried by AsyncLocalStorage. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Random } from "./clock.ts";

export type CallContext = {
  /** On the scale of `Clock.nowMs`; Infinity when there is none. */
  readonly deadlineMs: number;
  /** W3C trace context, version 00. */
  readonly traceparent: string;
  /** Aborts when the caller cancels or the deadline passes. */
  readonly signal: AbortSignal;
  /** Name of the calling service; empty when unknown. */
  readonly caller: string;
};

const storage = new AsyncLocalStorage<CallContext>();

/** The call being served; undefined outside of one. */
export function currentContext(): CallContext | undefined {
  return storage.getStore();
}

export function runInContext<T>(context: CallContext, work: () => T): T {
  return storage.run(context, work);
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** A new, sampled trace: `00-<32 hex>-<16 hex>-01` (https://www.w3.org/TR/trace-context/). */
export function newTraceparent(random: Random): string {
  return `00-${hex(16, random)}-${hex(8, random)}-01`;
}

/** The same trace with a span of its own; a new trace when `parent` is not valid, as it comes from outside. */
export function childTraceparent(parent: string | undefined, random: Random): string {
  const match = parent === undefined ? null : TRACEPARENT.exec(parent);
  if (match === null) return newTraceparent(random);
  return `00-${match[1]}-${hex(8, random)}-${match[3]}`;
}

/** The trace id in `traceparent`, 32 hex digits; empty when it is not valid. */
export function traceId(traceparent: string): string {
  return TRACEPARENT.exec(traceparent)?.[1] ?? "";
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Never all zeros. */
function hex(bytes: number, random: Random): string {
  let text = "";
  for (let index = 0; index < bytes; index += 2) {
    const value = Math.floor(random() * 0xffff + 1);
    text += `${HEX[value >> 8]}${HEX[value & 0xff]}`;
  }
  return text;
}
