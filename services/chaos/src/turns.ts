/** Whose turn it is: one experiment at a time, in the order in which they were made. Pure. */
import type { KubeObject } from "@ordermesh/kubernetes/kube-api";
import { hasFinalizer, isActive, isOver } from "./experiments.ts";

export type Turns = {
  /** To be visited now, by name. */
  readonly visit: readonly string[];
  /** Those that must wait, and were not told so yet. */
  readonly queue: readonly string[];
  /** Whom they wait for. */
  readonly running: string | undefined;
};

export function turnsOf(objects: readonly KubeObject[], nowMs: number): Turns {
  const inOrder = objects.toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
  const open = inOrder.filter((object) => !isOver(object) && (hasFinalizer(object) || !isGoing(object)));
  const active = open.filter(isActive);
  const ending = open.filter((object) => !isActive(object) && (isGoing(object) || object.spec?.abort === true));
  const waiting = open.filter((object) => !active.includes(object) && !ending.includes(object));
  const next = active.length > 0 ? active : waiting.slice(0, 1);
  const settling = inOrder.filter((object) => isOver(object) && isUnsettled(object, nowMs));
  return {
    visit: [...settling, ...ending, ...next].map(nameOf),
    queue: waiting.filter((object) => !next.includes(object) && object.status === undefined).map(nameOf),
    running: next[0] && nameOf(next[0]),
  };
}

/** When an experiment that has ended is taken away; undefined when it stays. Wall clock, milliseconds. */
export function goesAtMs({ spec, status }: KubeObject): number | undefined {
  const ttl = spec?.ttlSecondsAfterFinished;
  return ttl === undefined ? undefined : Date.parse(status.completionTime) + ttl * 1_000;
}

function isUnsettled(object: KubeObject, nowMs: number): boolean {
  if (hasFinalizer(object)) return true;
  return !isGoing(object) && (goesAtMs(object) ?? Number.POSITIVE_INFINITY) <= nowMs;
}

function isGoing({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function nameOf({ metadata }: KubeObject): string {
  return metadata.name;
}

function placeOf({ metadata }: KubeObject): string {
  return `${metadata.creationTimestamp} ${metadata.name}`;
}
