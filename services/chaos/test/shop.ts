/** A namespace behind a fake API server, in which faults are names in a set and customers are always content; time runs faster. */
import type { Backend, Second } from "@ordermesh/chaos/backend";
import { PLURAL } from "@ordermesh/chaos/crd";
import { API_VERSION, INVARIANTS, KIND } from "@ordermesh/chaos/experiment";
import type { Ports } from "@ordermesh/chaos/visit";
import { FakeApiServer } from "@ordermesh/kubernetes/fake-api-server";
import { type KubeApi, type KubeObject, newKubeApi, pathOf } from "@ordermesh/kubernetes/kube-api";
import { ListWatch } from "@ordermesh/kubernetes/list-watch";
import { systemClock } from "@ordermesh/mesh/clock";
import { Registry } from "prom-client";
import { Announcer } from "../src/announcer.ts";
import { Controller } from "../src/controller.ts";
import { Experiments } from "../src/experiments.ts";
import { createChaosMetrics } from "../src/metrics.ts";
import { ENABLED_LABEL, LEVER, whyNotAllowed } from "../src/permission.ts";
import { reportMaps } from "../src/report-map.ts";

export const NAMESPACE = "shop";
const SPEED = 25;
const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const CONTENT: Second = { atMs: 0, begun: 20, accepted: 20, failed: 0, p99Ms: 10, latencies: [[10, 20]] };

const startedMs = performance.now();
const startedWallMs = Date.now();
const fast = () => (performance.now() - startedMs) * SPEED;
export const clock = {
  nowMs: () => fast(),
  wallMs: () => startedWallMs + fast(),
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / SPEED, signal),
};

export class Shop {
  readonly server: FakeApiServer;
  readonly api: KubeApi;
  /** `<uid>` of each injected target that is not healed. */
  readonly faults = new Map<string, string>();
  readonly injected: string[] = [];
  readonly healed: string[] = [];
  /** Thrown by every heal while it is set. */
  healError: string | undefined;
  readonly metrics = createChaosMetrics(new Registry());
  readonly #running: { stop: AbortController; watch: ListWatch; ended: Promise<void> }[] = [];

  private constructor(server: FakeApiServer) {
    this.server = server;
    this.api = newKubeApi({ server: server.url, authorize: async () => undefined }, 2_000);
  }

  static async open(): Promise<Shop> {
    const shop = new Shop(await FakeApiServer.start());
    shop.optIn("true");
    return shop;
  }

  optIn(value: string): void {
    this.server.put(pathOf("v1", undefined, "namespaces", NAMESPACE), {
      metadata: { labels: { [ENABLED_LABEL]: value } },
    });
  }

  pullLever(): void {
    this.server.put(pathOf("v1", NAMESPACE, "configmaps", LEVER), { data: { stop: "true" } });
  }

  pathOf(name: string): string {
    return pathOf(API_VERSION, NAMESPACE, PLURAL, name);
  }

  make(name: string, spec: object = {}): KubeObject {
    const good = {
      target: {
        selector: { matchLabels: { "app.kubernetes.io/component": "payment" } },
        maxTargets: 1,
        maxPercent: 50,
      },
      action: { type: "Freeze", freeze: {} },
      baselineSeconds: 5,
      durationSeconds: 10,
      recoverySeconds: 20,
      deadlineSeconds: 7_200, // Time runs fast, and on a busy machine even faster.
      startDeadlineSeconds: 3_600,
      workload: { minAccepted: 1 },
    };
    const metadata = { namespace: NAMESPACE, generation: 1, creationTimestamp: new Date(clock.wallMs()).toISOString() };
    return this.server.put(this.pathOf(name), {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata,
      spec: { ...good, ...spec },
    });
  }

  get(name: string): KubeObject | undefined {
    return this.server.get(this.pathOf(name));
  }

  /** As a user's `kubectl patch` does it. */
  abort(name: string): void {
    const object = this.get(name);
    const metadata = { ...object.metadata, generation: object.metadata.generation + 1 };
    this.server.put(this.pathOf(name), { ...object, metadata, spec: { ...object.spec, abort: true } });
  }

  /** Starts one more controller; resolves the function that ends it after its visit. */
  start(): () => Promise<void> {
    const experiments = new Experiments(this.api, NAMESPACE);
    const onChange = () => controller.wake();
    const { api, metrics } = this;
    const watch = new ListWatch({
      api,
      path: experiments.path,
      clock: systemClock,
      random: () => 0.5,
      log: QUIET,
      onChange,
    });
    const controller: Controller = new Controller({
      experiments,
      watch,
      ports: this.#ports(),
      announcer: new Announcer({ api, instance: "chaos-1", clock, log: QUIET, metrics }),
      metrics,
      clock,
      log: QUIET,
    });
    const stop = new AbortController();
    watch.start();
    const one = { stop, watch, ended: controller.run(stop.signal) };
    this.#running.push(one);
    return async () => {
      stop.abort();
      await one.ended;
      await watch.stop();
    };
  }

  async close(): Promise<void> {
    for (const { stop, ended, watch } of this.#running) {
      stop.abort();
      await ended;
      await watch.stop();
    }
    await this.server.stop();
  }

  #ports(): Omit<Ports, "store"> & { backend: Backend & { owners: () => Promise<ReadonlySet<string>> } } {
    return {
      backend: this.#backend(),
      workload: {
        start: async () => undefined,
        setRate: async () => undefined,
        repeat: async (_name, requests) => requests,
        finish: async () => undefined,
        seconds: async (_name, { fromMs, toMs }) =>
          Array.from({ length: Math.max(0, Math.floor((toMs - fromMs) / 1_000)) }, () => CONTENT),
        history: async () => [],
      },
      judge: {
        open: async () => [],
        judge: async () =>
          INVARIANTS.map((name) => ({
            id: name,
            name,
            held: "True",
            examined: 1,
            violations: 0,
            examples: [],
          })) as never,
      },
      queries: { value: async () => undefined },
      reports: reportMaps(this.api),
      clock,
    };
  }

  #backend() {
    const keyOf = (target: { uid: string; round: number }) => `${target.uid}#${target.round}`;
    const candidate = (name: string) => ({
      kind: "Pod",
      name,
      uid: `uid-of-${name}`,
      node: "",
      isReady: true,
      isProtected: false,
    });
    return {
      name: "cluster" as const,
      whyNot: () => undefined,
      find: async () => ["payment-1", "payment-2"].map(candidate),
      whyNotNow: () => whyNotAllowed(this.api, NAMESPACE),
      planUndo: () => "thaw",
      inject: async (target: { uid: string; round: number }, { experiment }: { experiment: { uid: string } }) => {
        if (this.faults.has(keyOf(target))) return;
        this.injected.push(keyOf(target));
        this.faults.set(keyOf(target), experiment.uid);
      },
      heal: async (target: { uid: string; round: number }) => {
        if (this.healError !== undefined) throw new Error(this.healError);
        if (this.faults.delete(keyOf(target))) this.healed.push(keyOf(target));
      },
      isHealed: async (target: { uid: string; round: number }) => !this.faults.has(keyOf(target)),
      sweep: async (uid: string) => {
        const left = [...this.faults].filter(([, owner]) => owner === uid);
        for (const [key] of left) this.faults.delete(key);
        return left.length;
      },
      owners: async () => new Set(this.faults.values()),
      watchFault: async () => undefined,
      evidence: async (targets: readonly { injectedAt?: string }[]) => {
        const observed = targets.filter(({ injectedAt }) => injectedAt !== undefined).length;
        return { expected: targets.length, observed, detail: `${observed} stood still` };
      },
      forget: () => undefined,
    };
  }
}
