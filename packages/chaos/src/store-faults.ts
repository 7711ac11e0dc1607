/**
 * Faults that go through etcd: rules for calls, traffic policies, registrations. Everything carries the experiment's uid in its key,
 * so that it is found again without any record. Never for experiments whose target is etcd.
 */
import type { EtcdDocuments, StoredDocument } from "@ordermesh/mesh/etcd-documents";
import { type FaultRule, parseFaultRule } from "@ordermesh/mesh/fault-rule";
import type { ActionOf } from "./action.ts";

/** A rule ends by itself a little before etcd takes it away. */
const LEASE_MARGIN_S = 5;
/** A policy that says nothing; for churn where there is none. */
const EMPTY_POLICY = '{"schemaVersion":1}';

const UID = "([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})";
/** Operators' rules have other names. */
const RULE_KEY = new RegExp(`^/faults/${UID}-\\d+$`);
const BACKUP_KEY = new RegExp(`^/chaos/${UID}/`);

/** What was there before a policy was replaced; stored in the transaction that replaces it. */
type Backup = { readonly before: string | null; readonly put: string };

export class StoreFaults {
  readonly #documents: EtcdDocuments;
  readonly #prefix: string;

  constructor(documents: EtcdDocuments, prefix = "/ordermesh") {
    this.#documents = documents;
    this.#prefix = prefix;
  }

  /** The rule for all calls to a service that the action means; `number` tells the rules of one experiment apart. Put again, it changes nothing. */
  async putRule(uid: string, number: number, rule: Omit<FaultRule, "schemaVersion">, wallMs: number): Promise<void> {
    const key = `${this.#prefix}/faults/${uid}-${number}`;
    if ((await this.#documents.list(key)).some((found) => found.key === key)) return;
    const text = JSON.stringify({ schemaVersion: 1, ...rule });
    parseFaultRule(text, wallMs);
    await this.#documents.putFor(key, text, Math.ceil((rule.expiresAtMs - wallMs) / 1_000) + LEASE_MARGIN_S);
  }

  /** Replaces a service's policy, and keeps what was there. Resolves with the revision; undefined when it was replaced already. */
  async putPolicy(uid: string, service: string, put: string): Promise<bigint | undefined> {
    const [key, backupKey] = [this.#policyKey(service), this.#backupKey(uid, service)];
    if ((await this.#find(backupKey)) !== undefined) return undefined;
    const now = await this.#find(key);
    const backup: Backup = { before: now?.value ?? null, put };
    return await this.#documents.write({
      puts: { [key]: put, [backupKey]: JSON.stringify(backup) },
      expected: { [key]: now?.revision ?? 0n, [backupKey]: 0n },
    });
  }

  /** Writes a service's policy again without a change. Resolves with the revision. */
  async touchPolicy(uid: string, service: string): Promise<bigint | undefined> {
    const now = await this.#find(this.#policyKey(service));
    if (now === undefined) return await this.putPolicy(uid, service, EMPTY_POLICY);
    return await this.#documents.write({ puts: { [now.key]: now.value }, expected: { [now.key]: now.revision } });
  }

  /** Takes the registrations of a service's instances. Resolves with how many there were. */
  async revokeLeases(service: string, instances: readonly string[]): Promise<number> {
    return await this.#documents.revokeLeasesOf(
      instances.map((instance) => `${this.#prefix}/endpoints/${service}/${instance}`),
    );
  }

  /** Whether the instance is registered. */
  async isRegistered(service: string, instance: string): Promise<boolean> {
    return (await this.#find(`${this.#prefix}/endpoints/${service}/${instance}`)) !== undefined;
  }

  /** Uids of the experiments that something is there of. */
  async owners(): Promise<string[]> {
    const rules = await this.#documents.list(`${this.#prefix}/faults/`);
    const backups = await this.#documents.list(`${this.#prefix}/chaos/`);
    const of = (pattern: RegExp, { key }: StoredDocument) => pattern.exec(key.slice(this.#prefix.length))?.[1] ?? [];
    const uids = [...rules.flatMap((one) => of(RULE_KEY, one)), ...backups.flatMap((one) => of(BACKUP_KEY, one))];
    return [...new Set(uids)];
  }

  /** How many things of the experiment are there. */
  async count(uid: string): Promise<number> {
    return (await this.#rules(uid)).length + (await this.#backups(uid)).length;
  }

  /** Takes away what is there of the experiment, and puts back what was there before. Resolves with how many things there were. */
  async heal(uid: string): Promise<number> {
    const rules = await this.#rules(uid);
    if (rules.length > 0) await this.#documents.write({ deletes: rules.map(({ key }) => key) });
    const backups = await this.#backups(uid);
    for (const backup of backups) await this.#restore(backup);
    return rules.length + backups.length;
  }

  /** A policy that somebody changed meanwhile is theirs and stays. */
  async #restore({ key: backupKey, value, revision }: StoredDocument): Promise<void> {
    const { before, put }: Backup = JSON.parse(value);
    const key = this.#policyKey(backupKey.slice(backupKey.lastIndexOf("/") + 1));
    const now = await this.#find(key);
    const isOurs = now?.value === put;
    await this.#documents.write({
      puts: isOurs && before !== null ? { [key]: before } : {},
      deletes: [backupKey, ...(isOurs && before === null ? [key] : [])],
      expected: { [key]: now?.revision ?? 0n, [backupKey]: revision },
    });
  }

  async #find(key: string): Promise<StoredDocument | undefined> {
    return (await this.#documents.list(key)).find((found) => found.key === key);
  }

  #rules(uid: string): Promise<StoredDocument[]> {
    return this.#documents.list(`${this.#prefix}/faults/${uid}-`);
  }

  #backups(uid: string): Promise<StoredDocument[]> {
    return this.#documents.list(`${this.#prefix}/chaos/${uid}/`);
  }

  #policyKey(service: string): string {
    return `${this.#prefix}/policy/${service}`;
  }

  #backupKey(uid: string, service: string): string {
    return `${this.#prefix}/chaos/${uid}/${service}`;
  }
}

/** The rule that a mesh fault means for the calls to a service. Pure. */
export function ruleOf(
  { caller, method, percent, delayMs, abort }: ActionOf<"MeshFault">,
  service: string,
  expiresAtMs: number,
): Omit<FaultRule, "schemaVersion"> {
  return {
    service,
    share: percent / 100,
    expiresAtMs,
    ...(caller === undefined ? {} : { caller }),
    ...(method === undefined ? {} : { method }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(abort === undefined ? {} : { abort }),
  };
}

/** The rule by which `caller` does not reach `service`: calls fail at once, or wait for longer than any deadline. Pure. */
export function cutRuleOf(
  mode: ActionOf<"Partition">["mode"],
  caller: string,
  service: string,
  expiresAtMs: number,
): Omit<FaultRule, "schemaVersion"> {
  const how = mode === "Reset" ? ({ abort: "unavailable" } as const) : { delayMs: 60_000 };
  return { service, caller, share: 1, expiresAtMs, ...how };
}
