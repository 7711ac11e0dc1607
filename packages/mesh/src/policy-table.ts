/** The traffic policy and the faults in force, kept from the store's snapshots. What is not valid changes nothing. */
import type { Clock } from "./clock.ts";
import { type FaultRule, parseFaultRule } from "./fault-rule.ts";
import type { MeshLog } from "./log.ts";
import type { MeshMetrics } from "./metrics.ts";
import { type Policy, type PolicyDocument, parsePolicy, policyFor } from "./policy.ts";
import type { Snapshot, Store, Subscription } from "./store.ts";

/** The document that holds for every service which has no own word on a field. */
export const DEFAULT_DOCUMENT = "default";

type Dependencies = {
  readonly store: Store;
  readonly prefix: string;
  readonly clock: Clock;
  readonly log: MeshLog;
  readonly metrics: MeshMetrics;
};

export class PolicyTable {
  readonly #dependencies: Dependencies;
  readonly #subscriptions: readonly Subscription[];
  /** Last good document by service. */
  #documents = new Map<string, PolicyDocument>();
  /** By service and method; thrown away at each change. */
  #cache = new Map<string, Policy>();
  #faults: readonly FaultRule[] = [];
  /** Key to text of what was refused, so that each is reported once. */
  readonly #refused = new Map<string, string>();
  #revision = 0n;

  constructor(dependencies: Dependencies) {
    const { store, prefix } = dependencies;
    this.#dependencies = dependencies;
    this.#subscriptions = [
      store.subscribe(`${prefix}/policy/`, (snapshot) => this.#acceptPolicies(snapshot)),
      store.subscribe(`${prefix}/faults/`, (snapshot) => this.#acceptFaults(snapshot)),
    ];
  }

  /** Store revision of the policy that is applied; 0 before the first. */
  get revision(): bigint {
    return this.#revision;
  }

  /** What is applied: the last good document of each service. */
  get documents(): ReadonlyMap<string, PolicyDocument> {
    return this.#documents;
  }

  get faults(): readonly FaultRule[] {
    return this.#faults;
  }

  of(service: string, methodName: string): Policy {
    const key = `${service}/${methodName}`;
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const made = policyFor([this.#documents.get(service), this.#documents.get(DEFAULT_DOCUMENT)], methodName);
    this.#cache.set(key, made);
    return made;
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.close();
  }

  #acceptPolicies({ entries, revision }: Snapshot): void {
    const documents = new Map<string, PolicyDocument>();
    for (const [key, text] of entries) {
      const service = key.slice(`${this.#dependencies.prefix}/policy/`.length);
      const document = this.#parse(key, text, parsePolicy) ?? this.#documents.get(service);
      if (document !== undefined) documents.set(service, document);
    }
    this.#documents = documents;
    this.#cache = new Map();
    this.#revision = revision;
    this.#dependencies.metrics.policyRevision.set(Number(revision));
  }

  #acceptFaults({ entries }: Snapshot): void {
    const wallMs = this.#dependencies.clock.wallMs();
    const rules = [...entries].map(([key, text]) => this.#parse(key, text, (it) => parseFaultRule(it, wallMs)));
    this.#faults = rules.filter((rule) => rule !== undefined);
    this.#dependencies.metrics.faultRules.set(this.#faults.length);
  }

  #parse<T>(key: string, text: string, parse: (text: string) => T): T | undefined {
    const { log, metrics } = this.#dependencies;
    try {
      const parsed = parse(text);
      this.#refused.delete(key);
      return parsed;
    } catch (error) {
      if (this.#refused.get(key) === text) return undefined;
      this.#refused.set(key, text);
      metrics.policyRejected.inc();
      const message = error instanceof Error ? error.message : "";
      log.warn({ "mesh.key": key, "error.message": message }, "policy refused; keeping the last good one");
      return undefined;
    }
  }
}
