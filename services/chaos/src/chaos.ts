/** Wires the controller. */

import { HttpWorkload } from "@ordermesh/chaos/http-workload";
import { LedgerJudge } from "@ordermesh/chaos/ledger-judge";
import { StoreFaults } from "@ordermesh/chaos/store-faults";
import { ClusterBackend } from "@ordermesh/chaos-cluster/cluster-backend";
import { clusterFaults } from "@ordermesh/chaos-cluster/faults";
import { instancesOf } from "@ordermesh/chaos-cluster/instances";
import { Pods } from "@ordermesh/chaos-cluster/pods";
import { kafkaAccess } from "@ordermesh/events/settings";
import { connectKube } from "@ordermesh/kubernetes/kube-config";
import { LeaseElection } from "@ordermesh/kubernetes/lease-election";
import { ListWatch } from "@ordermesh/kubernetes/list-watch";
import { abortWith } from "@ordermesh/mesh/abort-with";
import { EtcdDocuments } from "@ordermesh/mesh/etcd-documents";
import type { ServiceContext } from "@ordermesh/runtime/service";
import { Announcer } from "./announcer.ts";
import type { SETTINGS } from "./config.ts";
import { Controller } from "./controller.ts";
import { endConnections } from "./end-connections.ts";
import { Experiments } from "./experiments.ts";
import { createChaosMetrics } from "./metrics.ts";
import { whyNotAllowed } from "./permission.ts";
import { prometheusQueries } from "./prometheus.ts";
import { reportMaps } from "./report-map.ts";

/** The chart makes it, so that it goes with the release. */
const LEASE = "ordermesh-chaos";

type Context = ServiceContext<typeof SETTINGS>;

export async function startChaos(context: Context) {
  const {
    config,
    log,
    metrics: { registry },
    clock,
    random,
    lifecycle,
  } = context;
  const { namespace } = config;
  const api = connectKube(undefined);
  const metrics = createChaosMetrics(registry);
  const instance = config.pod || config.instance;
  const election = new LeaseElection({ api, namespace, name: LEASE, identity: instance, clock, random, log });
  const experiments = new Experiments(api, namespace);
  const onChange = () => controller.wake();
  const watch = new ListWatch({ api, path: experiments.path, clock, random, log, onChange });
  const controller: Controller = new Controller({
    experiments,
    watch,
    ports: portsOf(context, api, election),
    announcer: new Announcer({ api, instance, clock, log, metrics }),
    metrics,
    clock,
    log,
  });
  lifecycle.addReadiness("experiments", () => (watch.isListed ? undefined : "waiting for the API server"));
  watch.start();
  const acting = act(election, controller, lifecycle.stopping, metrics);
  acting.catch((error: unknown) => lifecycle.fail(error));
  lifecycle.onDrain("experiments", () => acting.catch(() => undefined));
  lifecycle.onClose("watch", () => watch.stop());
  return [];
}

/** Waits until this process leads, and runs experiments. @throws Error when it does not lead any more: the process must end */
async function act(
  election: LeaseElection,
  controller: Controller,
  stopping: AbortSignal,
  { leading }: ReturnType<typeof createChaosMetrics>,
): Promise<void> {
  if (!(await election.acquire(stopping))) return;
  leading.set(1);
  const end = abortWith(stopping);
  const running = controller.run(end.signal);
  const how = await election.hold(stopping);
  end.abort();
  if (how === "lost") throw new Error("another process leads: this one ends");
  await running;
  await election.release();
}

function portsOf(context: Context, api: ReturnType<typeof connectKube>, election: LeaseElection) {
  const { config, clock, log, lifecycle } = context;
  const { namespace, etcdEndpoints, etcdPrefix, databases } = config;
  const documents = new EtcdDocuments(etcdEndpoints);
  lifecycle.onClose("documents", async () => documents.close());
  const pods = new Pods(api, namespace);
  const release = { "app.kubernetes.io/instance": config.release };
  const workload = new HttpWorkload(config.customersUrl);
  const adminUrls = async () => (await instancesOf(pods, release)).flatMap(({ adminUrl }) => adminUrl ?? []);
  return {
    backend: new ClusterBackend({
      ...clusterFaults({
        api,
        namespace,
        pods,
        store: new StoreFaults(documents, etcdPrefix),
        workload,
        kafka: { ...kafkaAccess(config), clientId: "chaos", log, clock },
        release,
        endConnections: (service) => endConnections(databases[service] ?? "", context),
        areProcessesOpen: config.faultsInProcesses === "on",
        hasPolicies: config.networkPolicies === "on",
        clock,
      }),
      pods,
      whyNotNow: () => whyNotAllowed(api, namespace),
      isLeading: () => election.isLeading(),
    }),
    workload,
    judge: new LedgerJudge({
      databases,
      mesh: async () => ({ etcd: etcdEndpoints, prefix: etcdPrefix, adminUrls: await adminUrls() }),
    }),
    queries: prometheusQueries(config.prometheusUrl),
    reports: reportMaps(api),
    clock,
  };
}
