/**
 * Faults that go through etcd: rules for calls, traffic policies, registrations, its own alarm. Everything carries the experiment's uid
 * in its key, so that it is found again without any record.
 */
import { MeshError } from "@ordermesh/mesh/errors";
import type { EtcdDocuments, StoredDocument } from "@ordermesh/mesh/etcd-documents";
import { type FaultRule, parseFaultRule } from "@ordermesh/mesh/fault-rule";
import type { ActionOf } from "./action.ts";

/** A rule ends by itself a little before etcd takes it away. */
const LEASE_MARGIN_S = 5;
/** Changes that are made at once. */
const TOGETHER = 50;
/** The revision of an empty etcd, which no document has. */
const NEVER = 1n;
/** A policy that says nothing; for churn where there is none. */
const EMPTY_POLICY = '{"schemaVersion":1}';

const UID = "([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})";
/** Operators' rules have other names. */
const RULE_KEY = new RegExp(`^/faults/${UID}-\\d+$`);
const BACKUP_KEY = new RegExp(`^/chaos/${UID}/`);
const ALARM_KEY = new RegExp(`^/alarms/${UID}$`);

/** What was there before a policy was replaced, null for none; stored in the transaction that replaces it. */
type Backup = { readonly before: string | null; readonly put: string | null };

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

  /** Deletes a service's policy, an empty one where there is none, and keeps what was there. Resolves when that is done, now or before. */
  async deletePolicy(uid: string, service: string): Promise<void> {
    const [key, backupKey] = [this.#policyKey(service), this.#backupKey(uid, service)];
    if ((await this.#find(key)) === undefined) await this.putPolicy(uid, service, EMPTY_POLICY);
    const [now, kept] = [await this.#find(key), await this.#find(backupKey)];
    const { before, put }: Backup =
      kept === undefined ? { before: now?.value ?? null, put: "" } : JSON.parse(kept.value);
    if (put === null) return;
    await this.#documents.write({
      deletes: [key],
      puts: { [backupKey]: JSON.stringify({ before, put: null } satisfies Backup) },
      expected: { [key]: now?.revision ?? 0n, [backupKey]: kept?.revision ?? 0n },
    });
  }

  /** Revision at which the experiment last replaced the policy of a service; undefined when it did not. */
  async replacedAt(uid: string, service: string): Promise<bigint | undefined> {
    return (await this.#find(this.#backupKey(uid, service)))?.revision;
  }

  /** Makes changes to the policy of a service that does not exist, and lets etcd forget them. Resolves with the first revision that it remembers. */
  async forgetHistory(uid: string, changes: number): Promise<bigint> {
    const nobody = uid;
    await this.putPolicy(uid, nobody, EMPTY_POLICY);
    let last = 0n;
    for (let made = 0; made < changes; made += TOGETHER) {
      const size = Math.min(TOGETHER, changes - made);
      const puts = { [this.#policyKey(nobody)]: EMPTY_POLICY };
      const revisions = await Promise.all(Array.from({ length: size }, () => this.#documents.write({ puts })));
      last = revisions.reduce((most, revision) => (revision > most ? revision : most), last);
    }
    await this.#documents.compact(last);
    return last;
  }

  /** etcd takes no writes until the experiment is healed. @throws Error when it takes none already */
  async raiseAlarm(uid: string): Promise<void> {
    if (await this.#documents.hasSpaceAlarm()) {
      if ((await this.#find(this.#alarmKey(uid))) !== undefined) return;
      throw new Error("etcd takes no writes already: etcdctl alarm list tells why");
    }
    await this.#documents.write({ puts: { [this.#alarmKey(uid)]: "" } });
    await this.#documents.setSpaceAlarm(true);
  }

  /** Whether etcd takes no writes for want of space; asks for one that changes nothing. @throws MeshError unavailable STORE_UNAVAILABLE */
  async refusesWrites(): Promise<boolean> {
    const key = this.#alarmKey("none");
    try {
      await this.#documents.write({ puts: { [key]: "" }, expected: { [key]: NEVER } });
    } catch (error) {
      if (/space exceeded/.test(String((error as Error).cause))) return true;
      if (!(error instanceof MeshError && error.reason === "DOCUMENT_CHANGED")) throw error;
    }
    return false;
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
    const alarms = await this.#documents.list(`${this.#prefix}/alarms/`);
    const of = (pattern: RegExp, { key }: StoredDocument) => pattern.exec(key.slice(this.#prefix.length))?.[1] ?? [];
    const uids = [
      ...rules.flatMap((one) => of(RULE_KEY, one)),
      ...backups.flatMap((one) => of(BACKUP_KEY, one)),
      ...alarms.flatMap((one) => of(ALARM_KEY, one)),
    ];
    return [...new Set(uids)];
  }

  /** How many things of the experiment are there. */
  async count(uid: string): Promise<number> {
    const found = [await this.#rules(uid), await this.#backups(uid), await this.#alarms(uid)];
    return found.flat().length;
  }

  /** Takes away what is there of the experiment, and puts back what was there before. Resolves with how many things there were. */
  async heal(uid: string): Promise<number> {
    const alarms = await this.#alarms(uid);
    if (alarms.length > 0) {
      await this.#documents.setSpaceAlarm(false); // First: nothing can be put back before.
      await this.#documents.write({ deletes: alarms.map(({ key }) => key) });
    }
    const rules = await this.#rules(uid);
    if (rules.length > 0) await this.#documents.write({ deletes: rules.map(({ key }) => key) });
    const backups = await this.#backups(uid);
    for (const backup of backups) await this.#restore(backup);
    return rules.length + backups.length + alarms.length;
  }

  /** A policy that somebody changed meanwhile is theirs and stays. */
  async #restore({ key: backupKey, value, revision }: StoredDocument): Promise<void> {
    const { before, put }: Backup = JSON.parse(value);
    const key = this.#policyKey(backupKey.slice(backupKey.lastIndexOf("/") + 1));
    const now = await this.#find(key);
    const isOurs = (now?.value ?? null) === put;
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

  #alarms(uid: string): Promise<StoredDocument[]> {
    return this.#documents.list(this.#alarmKey(uid));
  }

  #alarmKey(uid: string): string {
    return `${this.#prefix}/alarms/${uid}`;
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
