/** The end of an experiment that the API server took although our schema does not. Pure. */
import type { Experiment } from "@ordermesh/chaos/backend";
import { MAX_SENTENCE, withCondition } from "@ordermesh/chaos/condition";
import { firstStatus } from "@ordermesh/chaos/reconcile";
import type { ExperimentStatus } from "@ordermesh/chaos/status";
import type { KubeObject } from "@ordermesh/kubernetes/kube-api";

export function invalidStatus({ metadata }: KubeObject, problem: string, nowMs: number): ExperimentStatus {
  const { generation }: Pick<Experiment, "generation"> = metadata;
  const message = problem.slice(0, MAX_SENTENCE);
  const status: ExperimentStatus = {
    ...firstStatus({ generation }, "", nowMs),
    phase: "Completed",
    verdict: "Inconclusive",
    reason: "NotValid",
    message,
    completionTime: new Date(nowMs).toISOString(),
  };
  const refused = withCondition(status, { type: "Accepted", status: "False", reason: "NotValid", message }, nowMs);
  return withCondition(refused, { type: "Complete", status: "True", reason: "NotValid", message }, nowMs);
}
