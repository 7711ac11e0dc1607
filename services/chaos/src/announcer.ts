/** Tells of an experiment's phases: a Kubernetes Event, a metric and a line of the log for each. */
import { API_VERSION, KIND } from "@ordermesh/chaos/experiment";
import type { ExperimentStatus } from "@ordermesh/chaos/status";
import { type KubeApi, type KubeObject, pathOf } from "@ordermesh/kubernetes/kube-api";
import type { Clock } from "@ordermesh/mesh/clock";
import type { MeshLog } from "@ordermesh/mesh/log";
import type { ChaosMetrics } from "./metrics.ts";

const EVENTS = "events.k8s.io/v1";
const MAX_NOTE = 1_024;

type Dependencies = {
  readonly api: KubeApi;
  readonly instance: string;
  readonly clock: Pick<Clock, "wallMs">;
  readonly log: MeshLog;
  readonly metrics: ChaosMetrics;
};

export class Announcer {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** Says nothing when the phase is the same. */
  tell(object: KubeObject, status: ExperimentStatus, before: ExperimentStatus | undefined): void {
    if (status.phase === before?.phase) return;
    const { log, metrics } = this.#dependencies;
    const { phase, verdict, reason, message } = status;
    if (verdict !== "") metrics.verdicts.inc({ verdict, reason });
    if (phase === "HealFailed") metrics.healFailures.inc();
    const level = phase === "HealFailed" ? "error" : "info";
    log[level]({ "chaos.experiment": object.metadata.name, phase, verdict, reason }, "experiment changed its phase");
    const isWarning = phase === "HealFailed" || verdict === "Failed";
    const healed = status.conditions.find(({ type }) => type === "Healed")?.message ?? "";
    const note = verdict !== "" ? `${verdict} ${reason}: ${message}` : phase === "HealFailed" ? healed : `now ${phase}`;
    // Nobody waits for it: an event that is lost changes nothing.
    void this.#create(object, { type: isWarning ? "Warning" : "Normal", reason: phase, note }).catch((error: unknown) =>
      log.warn({ err: error }, "an event could not be told"),
    );
  }

  async #create({ metadata }: KubeObject, event: { type: string; reason: string; note: string }): Promise<void> {
    const { api, clock, instance } = this.#dependencies;
    const { name, namespace, uid } = metadata;
    await api.create(
      { path: pathOf(EVENTS, namespace, "events") },
      {
        apiVersion: EVENTS,
        kind: "Event",
        metadata: { generateName: `${name.slice(0, 200)}-`, namespace },
        eventTime: new Date(clock.wallMs()).toISOString().replace("Z", "000Z"),
        reportingController: "chaos.ordermesh.dev/controller",
        reportingInstance: instance,
        action: event.reason,
        regarding: { apiVersion: API_VERSION, kind: KIND, name, namespace, uid },
        type: event.type,
        reason: event.reason,
        note: event.note.slice(0, MAX_NOTE),
      },
    );
  }
}
