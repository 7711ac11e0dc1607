/** A system of our own to run experiments on: fresh data, proxies between services and parts, customers, and a judge. */
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Experiment, Reports } from "@ordermesh/chaos/backend";
import { HttpWorkload } from "@ordermesh/chaos/http-workload";
import { LedgerJudge } from "@ordermesh/chaos/ledger-judge";
import { type RunOptions, runExperiment } from "@ordermesh/chaos/run-experiment";
import type { ExperimentStatus } from "@ordermesh/chaos/status";
import { StoreFaults } from "@ordermesh/chaos/store-faults";
import type { Ports } from "@ordermesh/chaos/visit";
import { startFreshSystem } from "@ordermesh/local/fresh-system";
import { freePorts } from "@ordermesh/local/part";
import { ManagedProcess } from "@ordermesh/local/process";
import type { Progress } from "@ordermesh/local/progress";
import { instancesOf } from "@ordermesh/local/services";
import { ROOT, type System } from "@ordermesh/local/system";
import { systemClock } from "@ordermesh/mesh/clock";
import { EtcdDocuments } from "@ordermesh/mesh/etcd-documents";
import { processFaults } from "./faults.ts";
import { Network } from "./network.ts";
import { ProcessBackend } from "./process-backend.ts";
import { Processes } from "./processes.ts";

/** Two of each service that experiments take one of. */
const REPLICAS = { inventory: 2, payment: 2, order: 2, shipping: 2, notification: 2 };
const CUSTOMERS_READY_MS = 20_000;
const STOP_CUSTOMERS_MS = 10_000;
const POLL_MS = 50;

export type ChaosSystemOptions = {
  /** Its folder below .cache/runs; what an earlier system left there is dropped. */
  readonly name: string;
  /** Tells where the programs of etcd, Kafka and PostgreSQL are. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly progress: Progress;
  /** Gives the start up. */
  readonly signal: AbortSignal;
  /** Test wiring: another entry file for a service, and further environment, by service. */
  readonly entries?: Readonly<Record<string, string>>;
  readonly envOf?: Readonly<Record<string, Readonly<Record<string, string>>>>;
};

export class ChaosSystem {
  readonly system: System;
  readonly ports: Omit<Ports, "store">;
  readonly #network: Network;
  readonly #customers: ManagedProcess;
  readonly #documents: EtcdDocuments;

  private constructor(system: System, network: Network, customers: ManagedProcess, customersUrl: string) {
    this.system = system;
    this.#network = network;
    this.#customers = customers;
    const { etcd, adminUrls, databases } = system.state;
    this.#documents = new EtcdDocuments(etcd.split(","));
    const store = new StoreFaults(this.#documents);
    const workload = new HttpWorkload(customersUrl);
    const clock = systemClock;
    const faults = processFaults({ processes: new Processes(system), network, store, workload, clock });
    this.ports = {
      backend: new ProcessBackend({ ...faults, sweep: (uid) => store.heal(uid) }),
      workload,
      judge: new LedgerJudge({
        databases,
        mesh: async () => ({ etcd: etcd.split(","), adminUrls: Object.values(adminUrls) }),
      }),
      queries: { value: async () => undefined }, // There is no Prometheus here: such a check has no data.
      clock,
    };
  }

  /** @throws Error when something does not start; what had started is stopped */
  static async start({ name, env, entries, envOf, progress, signal }: ChaosSystemOptions): Promise<ChaosSystem> {
    const network = await Network.open(instancesOf(REPLICAS), Math.random);
    const wiring = { ...(entries === undefined ? {} : { entries }), ...(envOf === undefined ? {} : { envOf }) };
    const options = { replicas: REPLICAS, links: network, maxBackoffMs: 1_000, progress, signal, ...wiring };
    try {
      const system = await startFreshSystem(name, env, options);
      try {
        const [process, url] = await startCustomers(system, env);
        return new ChaosSystem(system, network, process, url);
      } catch (error) {
        await system.stop();
        throw error;
      }
    } catch (error) {
      await network.close();
      throw error;
    }
  }

  /** Runs an experiment to its verdict; one after another. `reports` gets the report before this resolves. */
  run(experiment: Experiment, reports: Reports, options: RunOptions): Promise<ExperimentStatus> {
    return runExperiment(experiment, { ...this.ports, reports }, options);
  }

  /** Of one that has stopped: its data, logs and the customers' records stay under another name below .cache/runs. Resolves with the folder. */
  keepAs(name: string): string {
    const folder = join(this.system.logDir, "..");
    const kept = join(folder, "..", name);
    rmSync(kept, { recursive: true, force: true });
    renameSync(folder, kept);
    return kept;
  }

  async stop(): Promise<void> {
    this.#documents.close();
    await this.#customers.stop(STOP_CUSTOMERS_MS);
    await this.system.stop();
    await this.#network.close();
  }
}

async function startCustomers(
  { url, logDir }: System,
  env: ChaosSystemOptions["env"],
): Promise<readonly [ManagedProcess, string]> {
  const [port = 0] = await freePorts(1);
  const historyDir = join(logDir, "..", "history");
  mkdirSync(historyDir, { recursive: true });
  const entry = join(ROOT, "services/loadgen/src/main.ts");
  const customers = new ManagedProcess({
    name: "customers",
    command: process.execPath,
    args: [entry, "--serve", "--url", url, "--port", String(port), "--history-dir", historyDir],
    env: { PATH: env.PATH ?? "" },
    logFile: join(logDir, "customers.log"),
    restarts: false,
  });
  customers.start();
  const own = `http://127.0.0.1:${port}`;
  const endsMs = performance.now() + CUSTOMERS_READY_MS;
  for (;;) {
    if ((await fetch(own).catch(() => undefined)) !== undefined) return [customers, own];
    if (performance.now() > endsMs || customers.state === "stopped") {
      await customers.stop();
      throw new Error(`the customers do not start; the end of their log:\n${customers.logTail()}`);
    }
    await sleep(POLL_MS);
  }
}
