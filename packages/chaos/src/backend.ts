/** The ports between an experiment and the place where it runs: a Kubernetes namespace, or processes of one machine. */

import type { Finding } from "@ordermesh/judge/finding";
import type { Operation } from "@ordermesh/judge/history";
import type { Action } from "./action.ts";
import type { ExperimentSpec, Measure } from "./experiment.ts";
import type { OrderMix } from "./order-mix.ts";
import type { Report } from "./report.ts";
import type { ExperimentStatus, FaultEvidence, TargetStatus } from "./status.ts";

/** An experiment as it is stored, whether in an API server or in a file. */
export type Experiment = {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly generation: number;
  /** Wall clock, milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly isBeingDeleted: boolean;
  readonly spec: ExperimentSpec;
  /** Undefined before the first visit. */
  readonly status: ExperimentStatus | undefined;
};

/** Something that may become a target. */
export type Candidate = {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  readonly isReady: boolean;
  /** The chaos system itself, and what somebody labelled as protected. */
  readonly isProtected: boolean;
};

/** So long after its end a fault is gone although nobody healed it. */
export const EXPIRES_AFTER_MS = 30_000;

export type InjectContext = {
  readonly experiment: Pick<Experiment, "name" | "namespace" | "uid">;
  readonly spec: ExperimentSpec;
  /** Wall clock: when the fault must be gone by itself if nobody heals it, `EXPIRES_AFTER_MS` after its end. */
  readonly expiresAtMs: number;
};

/**
 * Where faults are injected. Everything is idempotent: one target in one round is injected once, however often it is asked for, as
 * a crash may come between the act and its record. `heal` is safe on what was never injected, and absence is success.
 */
export type Backend = {
  readonly name: "cluster" | "process";
  /** What the action needs that is not here, as one sentence; undefined when it can be done. */
  readonly whyNot: (action: Action) => string | undefined;
  readonly find: (matchLabels: Readonly<Record<string, string>>) => Promise<readonly Candidate[]>;
  /** Looked at again right before each injection: the namespace's opt-in, and the safety lever. A sentence when it is not allowed. */
  readonly whyNotNow: () => Promise<string | undefined>;
  /** What `heal` will need, known before the act; stored first. */
  readonly planUndo: (target: Candidate, context: InjectContext) => string;
  readonly inject: (target: TargetStatus, context: InjectContext) => Promise<void>;
  readonly heal: (target: TargetStatus, context: InjectContext) => Promise<void>;
  /** Looks, and does not believe that `heal` returned. */
  readonly isHealed: (target: TargetStatus, context: InjectContext) => Promise<boolean>;
  /** Removes all that carries the experiment's uid, whatever the status says; resolves with how many things there were. */
  readonly sweep: (experimentUid: string) => Promise<number>;
  /** Begins to collect what proves that the fault bites. Called before each injection: nothing happens when it collects already. */
  readonly watchFault: (context: InjectContext) => Promise<void>;
  /** Asked often while the fault holds and once after the heal; the greatest that was observed counts. */
  readonly evidence: (targets: readonly TargetStatus[], context: InjectContext) => Promise<FaultEvidence>;
  /** The experiment has ended: what `watchFault` collects can go. */
  readonly forget: (experimentUid: string) => void;
};

export type Interval = { readonly fromMs: number; readonly toMs: number };

/** One whole second of the customers' record. A second in which nothing happened is there too. */
export type Second = {
  readonly atMs: number;
  /** Orders that were due in it. */
  readonly begun: number;
  /** Orders that were acknowledged in it, whenever they began. */
  readonly accepted: number;
  /** Requests that were refused for good in it, or given up without an answer; such an order is asked for again under its key. */
  readonly failed: number;
  /** Of the accepted ones, from when they were due. */
  readonly p99Ms: number | null;
  /** Of the accepted ones: how many took at most so long and longer than the entry before; ascending, only what is not 0. */
  readonly latencies: readonly (readonly [upToMs: number, orders: number])[];
};

/** The customers: a load generator that keeps its own record, outside of what is tested. Times are wall clock. */
export type Workload = {
  /** Idempotent: a run of that name that goes on already, or has gone on, is left alone. */
  readonly start: (run: {
    readonly name: string;
    readonly ratePerSecond: number;
    readonly seed: number;
    readonly orders: OrderMix;
  }) => Promise<void>;
  /** The seconds that ended in the interval, each once in neighbouring intervals. Undefined when there is no such run: its record is lost. */
  readonly seconds: (name: string, interval: Interval) => Promise<readonly Second[] | undefined>;
  readonly setRate: (name: string, ratePerSecond: number) => Promise<void>;
  /** One further order, sent so many times at once under one key; resolves with how many of them were answered. */
  readonly repeat: (name: string, requests: number) => Promise<number>;
  /** Places no more orders; resolves when those on their way have ended. */
  readonly finish: (name: string) => Promise<void>;
  readonly history: (name: string) => Promise<readonly Operation[] | undefined>;
};

/**
 * Reads the authorities of each fact after everything has come to rest, for the orders to which something happened since `sinceMs`
 * (wall clock), whoever placed them and whenever.
 */
export type Judge = {
  /** What is still on its way, in words; empty at rest. */
  readonly open: (sinceMs: number) => Promise<readonly string[]>;
  readonly judge: (history: readonly Operation[], sinceMs: number) => Promise<readonly Finding[]>;
};

/** The stored status is not the one that this visit began with: somebody else acts too. */
export class StaleStatusError extends Error {
  override readonly name = "StaleStatusError";
}

/** Where the status is kept: an API server, a file, memory. */
export type Store = {
  /**
   * Replaces the status that was stored last by this visit, or that its experiment came with.
   * @throws StaleStatusError when another one is stored; this visit must end
   */
  readonly save: (status: ExperimentStatus) => Promise<void>;
  /** What is stored now; undefined when the experiment is gone. */
  readonly load: () => Promise<ExperimentStatus | undefined>;
};

/** Where the report of an experiment goes at its end. */
export type Reports = {
  /** Replaces one that is there already, as a crash may come before the verdict is stored. Resolves with what names it, if anything does. */
  readonly keep: (report: Report) => Promise<ExperimentStatus["reportRef"]>;
};

/** A Prometheus, or nothing. Undefined: there is no value (empty, NaN), which is an error and never a pass. */
export type Queries = { readonly value: (measure: Measure) => Promise<number | undefined> };
